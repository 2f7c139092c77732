//! The certificates that agents hold: which is in force for which name.
//!
//! A row is written in the transaction that takes a use of the token, or that ends the certificate which asked for it. The
//! desk learns of it as an input of its own: until [`mark_told`] stands in the transaction that commits that input,
//! [`untold`] brings the certificate up again, so that an enrolment is neither lost nor told twice.

use std::collections::BTreeMap;

use watchkeep_desk::Millis;
use watchkeep_desk::input::{AgentChange, AgentEvent};
use watchkeep_protocol::limits::AGENT_BYTES;

use super::ca::Issued;
use crate::store::{Columns, Row, StoreError, Tx};

/// Names tried after the one that was asked for: `web-3-2` … ; past them the host is refused.
const SUFFIXES: u32 = 1_000;

/// Begins what stands for the token of a certificate that was renewed; the serial of the one before follows.
const RENEWAL: &str = "renewal:";

/// A certificate and how it came to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    pub serial: String,
    pub agent: String,
    /// The name that the host asked for; another than `agent` where that was taken.
    pub wanted: String,
    /// The id of the enrolment token, or `renewal:` and the serial of the certificate that asked for this one.
    pub token: String,
    pub pem: String,
    /// The operator's word, from the token.
    pub labels: BTreeMap<String, String>,
    pub issued_at: i64,
}

impl Certificate {
    /// What the desk is to learn of it.
    pub fn changes(&self) -> Vec<AgentChange> {
        let change = |what| AgentChange { agent: self.agent.clone(), happened_at: Millis(self.issued_at), what };
        let serial = self.serial.clone();
        let mut all = vec![change(match self.token.strip_prefix(RENEWAL) {
            Some(before) => AgentEvent::Renewed { serial, before: before.to_owned() },
            None => AgentEvent::Enrolled { serial, labels: self.labels.clone(), token: self.token.clone() },
        })];
        if self.wanted != self.agent {
            let detail = format!("asked for the name \"{}\", which another host holds", self.wanted);
            all.push(change(AgentEvent::Suspicious { detail }));
        }
        all
    }
}

/// The first free name: `wanted`, else with a suffix `-2`, `-3` …; none where all are taken. A quarantined name is free:
/// whoever enrols under it replaces the certificate that two hosts used.
pub fn free_name(tx: &mut dyn Tx, wanted: &str) -> Result<Option<String>, StoreError> {
    for number in 1..=SUFFIXES {
        let name = if number == 1 { wanted.to_owned() } else { suffixed(wanted, number) };
        let sql = "SELECT 1 FROM certificate WHERE agent = $1 AND revoked_at IS NULL AND quarantined = 0 LIMIT 1";
        if tx.query(sql, &[name.as_str().into()])?.is_empty() {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// Cut so that name and suffix are a name still.
fn suffixed(wanted: &str, number: u32) -> String {
    let suffix = format!("-{number}");
    let end = wanted.len().min(AGENT_BYTES - suffix.len());
    format!("{}{suffix}", wanted[..end].trim_end_matches(['-', '.']))
}

/// Keeps a certificate, untold. One in quarantine under the same name is revoked by it.
pub fn keep(
    tx: &mut dyn Tx,
    issued: &Issued,
    of: (&str, &str, [u8; 32], &BTreeMap<String, String>),
    now: i64,
) -> Result<(), StoreError> {
    let (wanted, token, key_hash, labels) = of;
    tx.execute(
        "UPDATE certificate SET revoked_at = $2, revoked_by = $3, revoked_why = 'enrolled again after two live sessions'
         WHERE agent = $1 AND revoked_at IS NULL AND quarantined = 1",
        &[issued.agent.as_str().into(), now.into(), token.into()],
    )?;
    tx.execute(
        "INSERT INTO certificate (serial, agent, wanted, token, key_hash, pem, labels, issued_at, not_after, told,
                                  quarantined)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, 0)",
        &[
            issued.serial.as_str().into(),
            issued.agent.as_str().into(),
            wanted.into(),
            token.into(),
            key_hash.into(),
            issued.pem.as_str().into(),
            serde_json::to_string(labels).expect("texts are JSON").into(),
            now.into(),
            issued.not_after.into(),
        ],
    )
    .map(drop)
}

/// The certificate in force that this token already brought to this key: the host asks again because it never got the
/// answer.
pub fn of_key(tx: &mut dyn Tx, token: &str, key_hash: [u8; 32]) -> Result<Option<Certificate>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM certificate WHERE token = $1 AND key_hash = $2 AND revoked_at IS NULL AND quarantined = 0
         ORDER BY issued_at DESC LIMIT 1"
    );
    tx.query(&sql, &[token.into(), key_hash.into()])?.into_iter().next().map(read).transpose()
}

/// The certificate with this serial, where it is in force.
pub fn of_serial(tx: &mut dyn Tx, serial: &str) -> Result<Option<Certificate>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM certificate WHERE serial = $1 AND revoked_at IS NULL AND quarantined = 0");
    tx.query(&sql, &[serial.into()])?.into_iter().next().map(read).transpose()
}

/// The certificate in force that the one with serial `before` already brought to this key: its answer was lost.
pub fn renewed_from(tx: &mut dyn Tx, before: &str, key_hash: [u8; 32]) -> Result<Option<Certificate>, StoreError> {
    of_key(tx, &format!("{RENEWAL}{before}"), key_hash)
}

/// Keeps, untold, the certificate that takes the place of `before`, which ends with it.
pub fn renew(
    tx: &mut dyn Tx,
    before: &Certificate,
    issued: Issued,
    key_hash: [u8; 32],
    now: i64,
) -> Result<Certificate, StoreError> {
    tx.execute(
        "UPDATE certificate SET revoked_at = $2, revoked_by = $3, revoked_why = 'renewed' WHERE serial = $1",
        &[before.serial.as_str().into(), now.into(), format!("agent:{}", before.agent).into()],
    )?;
    let token = format!("{RENEWAL}{}", before.serial);
    keep(tx, &issued, (&issued.agent, &token, key_hash, &before.labels), now)?;
    let Issued { agent, serial, pem, .. } = issued;
    Ok(Certificate { serial, wanted: agent.clone(), agent, token, pem, labels: before.labels.clone(), issued_at: now })
}

/// Certificates that the desk has not learnt of, oldest first.
pub fn untold(tx: &mut dyn Tx, limit: u32) -> Result<Vec<Certificate>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM certificate WHERE told = 0 ORDER BY issued_at, serial LIMIT $1");
    tx.query(&sql, &[limit.into()])?.into_iter().map(read).collect()
}

/// The desk has learnt of it; belongs into the transaction that commits that input.
pub fn mark_told(tx: &mut dyn Tx, serial: &str) -> Result<(), StoreError> {
    tx.execute("UPDATE certificate SET told = 1 WHERE serial = $1", &[serial.into()]).map(drop)
}

/// Revokes the certificate in force for `agent`; its serial, or `None` where there is none. The name is free again.
pub fn revoke(tx: &mut dyn Tx, agent: &str, by: &str, why: &str, now: i64) -> Result<Option<String>, StoreError> {
    let sql = "SELECT serial FROM certificate WHERE agent = $1 AND revoked_at IS NULL LIMIT 1";
    let Some(row) = tx.query(sql, &[agent.into()])?.into_iter().next() else { return Ok(None) };
    let serial = Columns::new("certificate", row).text()?;
    tx.execute(
        "UPDATE certificate SET revoked_at = $2, revoked_by = $3, revoked_why = $4 WHERE serial = $1",
        &[serial.as_str().into(), now.into(), by.into(), why.into()],
    )?;
    Ok(Some(serial))
}

/// Two live sessions used the certificate in force for `agent`; belongs into the transaction that commits that input.
pub fn quarantine(tx: &mut dyn Tx, agent: &str) -> Result<(), StoreError> {
    let sql = "UPDATE certificate SET quarantined = 1 WHERE agent = $1 AND revoked_at IS NULL";
    tx.execute(sql, &[agent.into()]).map(drop)
}

/// (agent, serial) of every certificate in force, page by page by name, those after `after`.
pub fn in_force(tx: &mut dyn Tx, after: &str, limit: u32) -> Result<Vec<(String, String)>, StoreError> {
    let sql = "SELECT agent, serial FROM certificate WHERE revoked_at IS NULL AND agent > $1 ORDER BY agent LIMIT $2";
    let rows = tx.query(sql, &[after.into(), limit.into()])?;
    rows.into_iter()
        .map(|row| {
            let mut columns = Columns::new("certificate", row);
            Ok((columns.text()?, columns.text()?))
        })
        .collect()
}

/// (serial, when) of every certificate that is revoked and would still hold at `now`, for a list of them.
pub fn revoked(tx: &mut dyn Tx, now: i64) -> Result<Vec<(String, i64)>, StoreError> {
    let sql =
        "SELECT serial, revoked_at FROM certificate WHERE revoked_at IS NOT NULL AND not_after > $1 ORDER BY serial";
    let rows = tx.query(sql, &[now.into()])?;
    rows.into_iter()
        .map(|row| {
            let mut columns = Columns::new("certificate", row);
            Ok((columns.text()?, columns.int()?))
        })
        .collect()
}

const COLUMNS: &str = "serial, agent, wanted, token, pem, labels, issued_at";

fn read(row: Row) -> Result<Certificate, StoreError> {
    let mut columns = Columns::new("certificate", row);
    Ok(Certificate {
        serial: columns.text()?,
        agent: columns.text()?,
        wanted: columns.text()?,
        token: columns.text()?,
        pem: columns.text()?,
        labels: columns.json()?,
        issued_at: columns.int()?,
    })
}

#[cfg(test)]
mod tests {
    use watchkeep_protocol::topic::is_agent_name;

    use super::*;
    use crate::store::{Sqlite, writing};

    fn issued(agent: &str, serial: &str) -> Issued {
        Issued { agent: agent.to_owned(), serial: serial.to_owned(), pem: "PEM".to_owned(), not_after: 9 }
    }

    #[test]
    fn a_name_is_held_by_one_certificate_until_it_is_revoked() {
        let mut store = Sqlite::fresh().expect("a database");
        writing(&mut store, |tx| {
            let labels = BTreeMap::new();
            for (serial, expected) in [("1", "web-3"), ("2", "web-3-2"), ("3", "web-3-3")] {
                let name = free_name(tx, "web-3")?.expect("free");
                assert_eq!(name, expected);
                keep(tx, &issued(&name, serial), ("web-3", "enrol-1", [0; 32], &labels), 5)?;
            }
            assert_eq!(revoke(tx, "web-3", "token:1", "stolen", 6)?, Some("1".to_owned()));
            assert_eq!(revoke(tx, "web-3", "token:1", "stolen", 6)?, None);
            assert_eq!(free_name(tx, "web-3")?.as_deref(), Some("web-3"));
            let page = in_force(tx, "", 1)?;
            assert_eq!(page, [("web-3-2".to_owned(), "2".to_owned())]);
            assert_eq!(in_force(tx, &page[0].0, 10)?, [("web-3-3".to_owned(), "3".to_owned())]);
            Ok(())
        })
        .expect("written");
    }

    #[test]
    fn a_host_that_enrols_under_a_quarantined_name_replaces_its_certificate() {
        let mut store = Sqlite::fresh().expect("a database");
        writing(&mut store, |tx| {
            let labels = BTreeMap::new();
            keep(tx, &issued("web-3", "1"), ("web-3", "enrol-1", [0; 32], &labels), 5)?;
            quarantine(tx, "web-3")?;
            assert_eq!(free_name(tx, "web-3")?.as_deref(), Some("web-3"));
            keep(tx, &issued("web-3", "2"), ("web-3", "enrol-1", [1; 32], &labels), 6)?;
            assert_eq!(in_force(tx, "", 10)?, [("web-3".to_owned(), "2".to_owned())]);
            assert_eq!(free_name(tx, "web-3")?.as_deref(), Some("web-3-2"));
            Ok(())
        })
        .expect("written");
    }

    #[test]
    fn a_renewed_certificate_takes_the_place_of_the_one_before_under_its_name_and_labels() {
        let mut store = Sqlite::fresh().expect("a database");
        writing(&mut store, |tx| {
            let labels = BTreeMap::from([("environment".to_owned(), "production".to_owned())]);
            keep(tx, &issued("web-3-2", "1"), ("web-3", "enrol-1", [0; 32], &labels), 5)?;
            let before = of_serial(tx, "1")?.expect("in force");
            let renewed = renew(tx, &before, issued("web-3-2", "2"), [1; 32], 6)?;
            let told = AgentEvent::Renewed { serial: "2".to_owned(), before: "1".to_owned() };
            assert_eq!(renewed.changes().into_iter().map(|change| change.what).collect::<Vec<_>>(), [told]);
            assert_eq!(of_serial(tx, "1")?, None);
            assert_eq!(of_serial(tx, "2")?.as_ref(), Some(&renewed));
            assert_eq!(renewed.labels, labels);
            assert_eq!(in_force(tx, "", 10)?, [("web-3-2".to_owned(), "2".to_owned())]);
            // The answer was lost: the same key gets the same certificate, until that is revoked.
            assert_eq!(renewed_from(tx, "1", [1; 32])?, Some(renewed));
            assert_eq!(renewed_from(tx, "1", [2; 32])?, None);
            assert_eq!(revoke(tx, "web-3-2", "token:1", "stolen", 7)?.as_deref(), Some("2"));
            assert_eq!(renewed_from(tx, "1", [1; 32])?, None);
            Ok(())
        })
        .expect("written");
    }

    #[test]
    fn a_long_name_with_a_suffix_is_a_name_still() {
        for wanted in ["a".repeat(AGENT_BYTES), format!("{}.{}", "a".repeat(250), "bc"), "a".to_owned()] {
            let name = suffixed(&wanted, 12);
            assert!(is_agent_name(&name) && name.ends_with("-12"), "{name}");
        }
    }

    #[test]
    fn an_enrolment_is_told_until_the_desk_has_it() {
        let mut store = Sqlite::fresh().expect("a database");
        writing(&mut store, |tx| {
            let labels = BTreeMap::from([("environment".to_owned(), "production".to_owned())]);
            keep(tx, &issued("web-3-2", "2"), ("web-3", "enrol-1", [7; 32], &labels), 5)?;
            let waiting = untold(tx, 10)?;
            assert_eq!(waiting.len(), 1);
            let changes = waiting[0].changes();
            let enrolled = AgentEvent::Enrolled { serial: "2".to_owned(), labels, token: "enrol-1".to_owned() };
            assert_eq!(changes[0].what, enrolled);
            assert!(matches!(&changes[1].what, AgentEvent::Suspicious { detail } if detail.contains("\"web-3\"")));
            mark_told(tx, "2")?;
            assert_eq!(untold(tx, 10)?, []);
            assert_eq!(of_key(tx, "enrol-1", [7; 32])?.map(|found| found.serial), Some("2".to_owned()));
            assert_eq!(of_key(tx, "enrol-2", [7; 32])?, None);
            Ok(())
        })
        .expect("written");
    }
}
