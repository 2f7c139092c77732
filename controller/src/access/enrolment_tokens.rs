//! Enrolment tokens: what an operator hands to new hosts.
//!
//! A token may be used a number of times until it expires. Its labels are the operator's word about the hosts that enrol
//! with it; rights, guards and routing rest on them.

use std::collections::BTreeMap;

use serde::Serialize;
use watchkeep_protocol::token::Token;

use super::tokens;
use crate::store::{Columns, Row, StoreError, Tx, Value};

/// What an operator asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewToken {
    pub labels: BTreeMap<String, String>,
    /// How many hosts may enrol with it.
    pub uses_max: u32,
    /// UTC milliseconds.
    pub expires_at: i64,
    /// The person's id.
    pub created_by: String,
}

/// A token as it is listed; its secret is not kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EnrolmentToken {
    pub id: String,
    pub labels: BTreeMap<String, String>,
    pub uses_max: u32,
    pub uses: u32,
    pub created_at: i64,
    pub created_by: String,
    pub expires_at: i64,
    pub revoked_at: Option<i64>,
}

/// Why a token enrols nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenRefusal {
    #[error("this token is not known here; was it made by this controller?")]
    Unknown,
    #[error("this token has expired; ask for a new one")]
    Expired,
    #[error("this token has enrolled as many hosts as it was made for; ask for a new one")]
    UsedUp,
    #[error("this token was withdrawn; ask for a new one")]
    Revoked,
}

/// The name of the token that [`create`] makes of these bytes.
pub fn id(drawn: &[u8; 6]) -> String {
    format!("enrol-{}", super::hex(drawn))
}

/// Makes a token. `drawn` are random bytes: 6 name it, 32 are its secret. `url` is where hosts enrol.
pub fn create(
    tx: &mut dyn Tx,
    new: &NewToken,
    drawn: ([u8; 6], [u8; 32]),
    (ca_fingerprint, url): ([u8; 32], &str),
    now: i64,
) -> Result<Token, StoreError> {
    let (id, secret) = (id(&drawn.0), drawn.1);
    let labels = serde_json::to_string(&new.labels).expect("texts are JSON");
    tx.execute(
        "INSERT INTO enrolment_token (id, secret_hash, labels, uses_max, uses, created_at, created_by, expires_at)
         VALUES ($1, $2, $3, $4, 0, $5, $6, $7)",
        &[
            id.as_str().into(),
            tokens::hash(&secret).into(),
            labels.into(),
            new.uses_max.into(),
            now.into(),
            new.created_by.as_str().into(),
            new.expires_at.into(),
        ],
    )?;
    Ok(Token { id, secret: secret.to_vec(), ca_fingerprint: ca_fingerprint.to_vec(), url: url.to_owned() })
}

/// The token of this id, where `secret` is its secret. Says nothing of whether it may still be used.
pub fn known(tx: &mut dyn Tx, id: &str, secret: &[u8]) -> Result<Result<EnrolmentToken, TokenRefusal>, StoreError> {
    let rows = tx.query(&format!("SELECT {COLUMNS}, secret_hash FROM enrolment_token WHERE id = $1"), &[id.into()])?;
    let Some(mut row) = rows.into_iter().next() else {
        return Ok(Err(TokenRefusal::Unknown));
    };
    let kept = row.pop();
    if !kept.as_ref().and_then(Value::bytes).is_some_and(|kept| tokens::matches(kept, secret)) {
        return Ok(Err(TokenRefusal::Unknown));
    }
    read(row).map(Ok)
}

/// Takes one use of a known token, or says why there is none to take.
pub fn take_use(tx: &mut dyn Tx, token: &EnrolmentToken, now: i64) -> Result<Result<(), TokenRefusal>, StoreError> {
    if token.revoked_at.is_some() {
        return Ok(Err(TokenRefusal::Revoked));
    }
    if token.expires_at <= now {
        return Ok(Err(TokenRefusal::Expired));
    }
    // The condition stands in the statement, so that two hosts cannot both take the last use.
    let sql = "UPDATE enrolment_token SET uses = uses + 1 WHERE id = $1 AND uses < uses_max";
    let taken = tx.execute(sql, &[token.id.as_str().into()])?;
    Ok(if taken == 1 { Ok(()) } else { Err(TokenRefusal::UsedUp) })
}

/// Withdraws a token; whether there was one to withdraw. Hosts that enrolled with it stay.
pub fn revoke(tx: &mut dyn Tx, id: &str, now: i64) -> Result<bool, StoreError> {
    let sql = "UPDATE enrolment_token SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL";
    Ok(tx.execute(sql, &[id.into(), now.into()])? == 1)
}

/// Tokens, newest first, those made before `before` (UTC milliseconds).
pub fn list(tx: &mut dyn Tx, before: i64, limit: u32) -> Result<Vec<EnrolmentToken>, StoreError> {
    let sql =
        format!("SELECT {COLUMNS} FROM enrolment_token WHERE created_at < $1 ORDER BY created_at DESC, id LIMIT $2");
    tx.query(&sql, &[before.into(), limit.into()])?.into_iter().map(read).collect()
}

const COLUMNS: &str = "id, labels, uses_max, uses, created_at, created_by, expires_at, revoked_at";

fn read(row: Row) -> Result<EnrolmentToken, StoreError> {
    let mut columns = Columns::new("enrolment_token", row);
    Ok(EnrolmentToken {
        id: columns.text()?,
        labels: columns.json()?,
        uses_max: u32::try_from(columns.int()?).unwrap_or(u32::MAX),
        uses: u32::try_from(columns.int()?).unwrap_or(u32::MAX),
        created_at: columns.int()?,
        created_by: columns.text()?,
        expires_at: columns.int()?,
        revoked_at: columns.opt_int()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Sqlite, writing};

    fn new(uses_max: u32) -> NewToken {
        NewToken { labels: BTreeMap::new(), uses_max, expires_at: 1_000, created_by: "token:1".to_owned() }
    }

    #[test]
    fn a_token_is_good_for_its_uses_until_it_expires_or_is_withdrawn() {
        let mut store = Sqlite::fresh().expect("a database");
        writing(&mut store, |tx| {
            let token = create(tx, &new(2), ([1; 6], [2; 32]), ([3; 32], "https://h:1"), 5)?;
            let use_at = |tx: &mut dyn Tx, now| {
                let known = known(tx, &token.id, &token.secret)?.expect("known");
                take_use(tx, &known, now)
            };
            assert_eq!(use_at(tx, 999)?, Ok(()));
            assert_eq!(use_at(tx, 1_000)?, Err(TokenRefusal::Expired));
            assert_eq!(use_at(tx, 999)?, Ok(()));
            assert_eq!(use_at(tx, 999)?, Err(TokenRefusal::UsedUp));
            assert!(revoke(tx, &token.id, 7)?);
            assert!(!revoke(tx, &token.id, 8)?);
            assert_eq!(use_at(tx, 999)?, Err(TokenRefusal::Revoked));
            Ok(())
        })
        .expect("written");
    }

    #[test]
    fn a_wrong_secret_is_an_unknown_token_and_the_right_one_is_not_in_the_database() {
        let mut store = Sqlite::fresh().expect("a database");
        writing(&mut store, |tx| {
            let token = create(tx, &new(1), ([1; 6], [2; 32]), ([3; 32], "https://h:1"), 5)?;
            assert_eq!(known(tx, &token.id, &[9; 32])?, Err(TokenRefusal::Unknown));
            assert_eq!(known(tx, "enrol-0", &token.secret)?, Err(TokenRefusal::Unknown));
            assert_eq!(known(tx, &token.id, &token.secret)?.map(|known| known.id), Ok(token.id.clone()));
            let kept = tx.query("SELECT secret_hash FROM enrolment_token", &[])?;
            assert_ne!(kept[0][0].bytes(), Some(token.secret.as_slice()));
            Ok(())
        })
        .expect("written");
    }
}
