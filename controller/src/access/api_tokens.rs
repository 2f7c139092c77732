//! API tokens: how people and programs speak to the API and the command line.
//!
//! Shape: `wkt_<12 hexadecimal digits>_<43 characters of URL-safe base64>`; the digits name the token in lists and in the
//! ledger, the rest is its secret.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;

use super::roles::{Role, RoleError};
use super::{Secret, tokens};
use crate::store::{Columns, Row, StoreError, Tx, Value};

/// A token as it is listed; its secret is not kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ApiToken {
    pub id: String,
    /// What people call it.
    pub name: String,
    pub role: Role,
    pub created_at: i64,
    pub created_by: String,
    pub expires_at: Option<i64>,
    /// To the minute.
    pub last_used_at: Option<i64>,
    pub revoked_at: Option<i64>,
}

impl ApiToken {
    /// Who acts, as the ledger names it.
    pub fn actor(&self) -> String {
        format!("token:{}", self.id)
    }
}

/// How long a use stays unwritten, milliseconds.
const USE_GRAIN: i64 = 60_000;

/// The name of the token that [`create`] makes of these bytes.
pub fn id(drawn: &[u8; 6]) -> String {
    super::hex(drawn)
}

/// Makes a token and gives its text, which is not kept anywhere. `drawn` are random bytes: 6 name it, 32 are its secret.
pub fn create(
    tx: &mut dyn Tx,
    (name, role, created_by): (&str, Role, &str),
    drawn: ([u8; 6], [u8; 32]),
    expires_at: Option<i64>,
    now: i64,
) -> Result<Secret<String>, StoreError> {
    let (id, secret) = (id(&drawn.0), drawn.1);
    tx.execute(
        "INSERT INTO api_token (id, secret_hash, name, role, created_at, created_by, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        &[
            id.as_str().into(),
            tokens::hash(&secret).into(),
            name.into(),
            role.to_string().into(),
            now.into(),
            created_by.into(),
            expires_at.into(),
        ],
    )?;
    Ok(Secret::new(format!("wkt_{id}_{}", URL_SAFE_NO_PAD.encode(secret))))
}

/// The token that `text` is, if it is one, in force at `now`.
pub fn authenticate(tx: &mut dyn Tx, text: &str, now: i64) -> Result<Option<ApiToken>, StoreError> {
    let Some((id, secret)) = parse(text) else { return Ok(None) };
    let sql = format!("SELECT {COLUMNS}, secret_hash FROM api_token WHERE id = $1 AND revoked_at IS NULL");
    let Some(mut row) = tx.query(&sql, &[id.into()])?.into_iter().next() else { return Ok(None) };
    let kept = row.pop();
    if !kept.as_ref().and_then(Value::bytes).is_some_and(|kept| tokens::matches(kept, &secret)) {
        return Ok(None);
    }
    Ok(Some(read(row)?).filter(|token| token.expires_at.is_none_or(|end| now < end)))
}

fn parse(text: &str) -> Option<(&str, Vec<u8>)> {
    let (id, secret) = text.strip_prefix("wkt_")?.split_once('_')?;
    Some((id, URL_SAFE_NO_PAD.decode(secret).ok()?))
}

/// Whether the use at `now` is worth writing down with [`note_use`].
pub fn use_is_news(token: &ApiToken, now: i64) -> bool {
    token.last_used_at.is_none_or(|last| now - last >= USE_GRAIN)
}

/// Notes that the token was used.
pub fn note_use(tx: &mut dyn Tx, id: &str, now: i64) -> Result<(), StoreError> {
    tx.execute("UPDATE api_token SET last_used_at = $2 WHERE id = $1", &[id.into(), now.into()]).map(drop)
}

/// Ends a token; whether there was one to end.
pub fn revoke(tx: &mut dyn Tx, id: &str, now: i64) -> Result<bool, StoreError> {
    let sql = "UPDATE api_token SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL";
    Ok(tx.execute(sql, &[id.into(), now.into()])? == 1)
}

/// Tokens, newest first, those made before `before` (UTC milliseconds).
pub fn list(tx: &mut dyn Tx, before: i64, limit: u32) -> Result<Vec<ApiToken>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM api_token WHERE created_at < $1 ORDER BY created_at DESC, id LIMIT $2");
    tx.query(&sql, &[before.into(), limit.into()])?.into_iter().map(read).collect()
}

const COLUMNS: &str = "id, name, role, created_at, created_by, expires_at, last_used_at, revoked_at";

fn read(row: Row) -> Result<ApiToken, StoreError> {
    let mut columns = Columns::new("api_token", row);
    let (id, name, role) = (columns.text()?, columns.text()?, columns.text()?);
    let role = role.parse().map_err(|error: RoleError| StoreError::Corrupt {
        table: "api_token",
        found: format!("token {id}: {error}"),
    })?;
    Ok(ApiToken {
        id,
        name,
        role,
        created_at: columns.int()?,
        created_by: columns.text()?,
        expires_at: columns.opt_int()?,
        last_used_at: columns.opt_int()?,
        revoked_at: columns.opt_int()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Sqlite, writing};

    #[test]
    fn a_token_is_known_by_its_text_until_it_expires_or_is_revoked() {
        let mut store = Sqlite::fresh().expect("a database");
        writing(&mut store, |tx| {
            let text = create(tx, ("ci", Role::Operator, "up"), ([0xab; 6], [7; 32]), Some(100), 5)?;
            let text = text.reveal();
            assert!(text.starts_with("wkt_abababababab_"), "{text}");
            let token = authenticate(tx, text, 99)?.expect("in force");
            assert_eq!((token.role, token.actor().as_str()), (Role::Operator, "token:abababababab"));
            assert_eq!(authenticate(tx, text, 100)?, None, "expired");

            let mut wrong = text.clone();
            let last = if wrong.pop() == Some('A') { 'B' } else { 'A' };
            wrong.push(last);
            for other in [wrong.as_str(), "", "wkt_", "wkt_abababababab", "wkt_abababababab_", &text[4..], "wkt__"] {
                assert_eq!(authenticate(tx, other, 99)?, None, "{other:?}");
            }
            assert!(use_is_news(&token, 50));
            note_use(tx, &token.id, 50)?;
            let token = authenticate(tx, text, 99)?.expect("in force");
            assert!(!use_is_news(&token, 51) && use_is_news(&token, 50 + USE_GRAIN));
            assert!(revoke(tx, &token.id, 60)?);
            assert_eq!(authenticate(tx, text, 99)?, None, "revoked");
            assert_eq!(list(tx, i64::MAX, 10)?.len(), 1);
            Ok(())
        })
        .expect("written");
    }
}
