//! Sessions of people in a browser, and links that begin one once.
//!
//! A session is 32 random bytes in a cookie, kept as their hash. It ends 12 hours after it was last used, 7 days after it
//! began, when the person logs out, gets another password or is removed. What changes something must also carry the
//! session's mark, which only pages of ours can read: a page from elsewhere has the browser send the cookie, not the mark.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::people::{self, Person};
use super::{Secret, tokens};
use crate::store::{Columns, StoreError, Tx};

/// How long a session lives unused, milliseconds.
pub const IDLE: i64 = 12 * 3_600_000;
/// How long a session lives at most, milliseconds.
pub const LIFE: i64 = 7 * 86_400_000;
/// How long a link can be used, milliseconds.
pub const LINK_LIFE: i64 = 3_600_000;
/// Sessions that one person has at once; the oldest ends for the next.
const EACH: u32 = 20;
/// How long a use stays unwritten, milliseconds.
const USE_GRAIN: i64 = 60_000;

/// A session, as its secret says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    pub person: Person,
    /// The hash under which it is kept.
    pub key: [u8; 32],
    /// What a request that changes something carries in a header.
    pub mark: String,
    seen_at: i64,
}

/// Begins a session and gives what the cookie holds. `drawn` are random bytes.
pub fn begin(tx: &mut dyn Tx, person: &str, drawn: [u8; 32], now: i64) -> Result<Secret<String>, StoreError> {
    forget(tx, now)?;
    let kept = "SELECT secret_hash FROM person_session WHERE person = $1 ORDER BY created_at DESC LIMIT 1000";
    let kept = tx.query(kept, &[person.into()])?;
    for row in kept.into_iter().skip(EACH as usize - 1) {
        end(tx, &Columns::new("person_session", row).blob()?)?;
    }
    tx.execute(
        "INSERT INTO person_session (secret_hash, person, created_at, seen_at) VALUES ($1, $2, $3, $3)",
        &[tokens::hash(&drawn).into(), person.into(), now.into()],
    )?;
    Ok(Secret::new(URL_SAFE_NO_PAD.encode(drawn)))
}

/// The session of which `text` is the secret, if it is in force at `now`.
pub fn authenticate(tx: &mut dyn Tx, text: &str, now: i64) -> Result<Option<Session>, StoreError> {
    let Ok(secret) = URL_SAFE_NO_PAD.decode(text) else { return Ok(None) };
    let key = tokens::hash(&secret);
    let sql = "SELECT person, created_at, seen_at FROM person_session WHERE secret_hash = $1";
    let Some(row) = tx.query(sql, &[key.into()])?.into_iter().next() else { return Ok(None) };
    let mut columns = Columns::new("person_session", row);
    let (person, created_at, seen_at) = (columns.text()?, columns.int()?, columns.int()?);
    if now >= seen_at + IDLE || now >= created_at + LIFE {
        return Ok(None);
    }
    let person = people::get(tx, &person)?;
    Ok(person.map(|person| Session { person, key, mark: mark(&secret), seen_at }))
}

/// Follows from the secret, and tells nothing of it.
fn mark(secret: &[u8]) -> String {
    super::hex(&tokens::hash(&[b"mark of a session".as_slice(), secret].concat()))
}

/// Whether a request carries the session's mark; takes as long whatever the answer.
pub fn is_marked(session: &Session, mark: &str) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(session.mark.as_bytes(), mark.as_bytes()).is_ok()
}

/// Whether the use at `now` is worth writing down with [`note_use`].
pub fn use_is_news(session: &Session, now: i64) -> bool {
    now - session.seen_at >= USE_GRAIN
}

/// Notes that the session was used.
pub fn note_use(tx: &mut dyn Tx, session: &Session, now: i64) -> Result<(), StoreError> {
    tx.execute("UPDATE person_session SET seen_at = $2 WHERE secret_hash = $1", &[session.key.into(), now.into()])?;
    let person = session.person.id.as_str();
    tx.execute("UPDATE person SET seen_at = $2 WHERE id = $1", &[person.into(), now.into()]).map(drop)
}

/// Ends one session.
pub fn end(tx: &mut dyn Tx, key: &[u8]) -> Result<(), StoreError> {
    tx.execute("DELETE FROM person_session WHERE secret_hash = $1", &[key.to_vec().into()]).map(drop)
}

/// Ends all sessions and links of a person.
pub fn end_all(tx: &mut dyn Tx, person: &str) -> Result<(), StoreError> {
    tx.execute("DELETE FROM person_session WHERE person = $1", &[person.into()])?;
    tx.execute("DELETE FROM login_link WHERE person = $1", &[person.into()]).map(drop)
}

/// Drops what is over.
fn forget(tx: &mut dyn Tx, now: i64) -> Result<(), StoreError> {
    let over = "DELETE FROM person_session WHERE seen_at <= $1 OR created_at <= $2";
    tx.execute(over, &[(now - IDLE).into(), (now - LIFE).into()])?;
    tx.execute("DELETE FROM login_link WHERE expires_at <= $1", &[now.into()]).map(drop)
}

/// Makes a link's secret, good for one use within [`LINK_LIFE`]. `drawn` are random bytes.
pub fn link(tx: &mut dyn Tx, person: &str, drawn: [u8; 32], now: i64) -> Result<Secret<String>, StoreError> {
    forget(tx, now)?;
    tx.execute(
        "INSERT INTO login_link (secret_hash, person, expires_at) VALUES ($1, $2, $3)",
        &[tokens::hash(&drawn).into(), person.into(), (now + LINK_LIFE).into()],
    )?;
    Ok(Secret::new(URL_SAFE_NO_PAD.encode(drawn)))
}

/// Uses a link up; whose it was.
pub fn follow(tx: &mut dyn Tx, text: &str, now: i64) -> Result<Option<Person>, StoreError> {
    let Ok(secret) = URL_SAFE_NO_PAD.decode(text) else { return Ok(None) };
    let key = tokens::hash(&secret);
    let sql = "SELECT person FROM login_link WHERE secret_hash = $1 AND expires_at > $2";
    let Some(row) = tx.query(sql, &[key.into(), now.into()])?.into_iter().next() else { return Ok(None) };
    let person = Columns::new("login_link", row).text()?;
    // Two that follow it at once: the second finds nothing to delete.
    if tx.execute("DELETE FROM login_link WHERE secret_hash = $1", &[key.into()])? == 0 {
        return Ok(None);
    }
    people::get(tx, &person)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::people::NewPerson;
    use crate::access::roles::Role;
    use crate::store::{Sqlite, writing};

    fn with_alice(work: impl Fn(&mut dyn Tx) -> Result<(), StoreError>) {
        let mut store = Sqlite::fresh().expect("a database");
        writing(&mut store, |tx| {
            let (id, name) = ("01".to_owned(), "alice".to_owned());
            let new = NewPerson { id, name, role: Role::Viewer, password: None, created_by: String::new() };
            assert!(people::add(tx, &new, 0)?);
            work(tx)
        })
        .expect("written");
    }

    #[test]
    fn a_session_ends_unused_and_at_its_end_however_used() {
        with_alice(|tx| {
            let text = begin(tx, "01", [7; 32], 1_000)?;
            let text = text.reveal();
            let session = authenticate(tx, text, 1_000 + IDLE - 1)?.expect("in force");
            assert_eq!(session.person.name, "alice");
            assert_eq!(authenticate(tx, text, 1_000 + IDLE)?, None, "unused for too long");
            assert_eq!(authenticate(tx, &text[1..], 1_000)?, None, "another secret");

            let mut now = 1_000;
            while now < 1_000 + LIFE {
                let session = authenticate(tx, text, now)?.expect("in force while it is used");
                assert!(now == 1_000 || use_is_news(&session, now));
                note_use(tx, &session, now)?;
                now += IDLE / 2;
            }
            assert_eq!(authenticate(tx, text, 1_000 + LIFE)?, None, "however used");
            Ok(())
        });
    }

    #[test]
    fn a_mark_belongs_to_one_session_and_is_not_its_secret() {
        with_alice(|tx| {
            let (one, other) = (begin(tx, "01", [1; 32], 0)?, begin(tx, "01", [2; 32], 0)?);
            let session = authenticate(tx, one.reveal(), 0)?.expect("in force");
            let theirs = authenticate(tx, other.reveal(), 0)?.expect("in force");
            assert!(is_marked(&session, &session.mark) && !is_marked(&session, &theirs.mark));
            assert!(!is_marked(&session, "") && !is_marked(&session, one.reveal()));
            Ok(())
        });
    }

    #[test]
    fn the_oldest_session_ends_for_one_too_many_and_all_end_with_the_person() {
        with_alice(|tx| {
            let mut texts = Vec::new();
            for number in 0..=u8::try_from(EACH).expect("a small number") {
                texts.push(begin(tx, "01", [number; 32], i64::from(number))?);
            }
            assert_eq!(authenticate(tx, texts[0].reveal(), 100)?, None, "the oldest");
            assert!(authenticate(tx, texts[1].reveal(), 100)?.is_some());
            people::remove(tx, "01", 100)?;
            assert_eq!(authenticate(tx, texts[1].reveal(), 100)?, None);
            Ok(())
        });
    }

    #[test]
    fn a_link_logs_in_once_and_in_time() {
        with_alice(|tx| {
            let text = link(tx, "01", [9; 32], 0)?;
            assert_eq!(follow(tx, "nonsense", 1)?, None);
            assert_eq!(follow(tx, text.reveal(), 1)?.map(|person| person.name).as_deref(), Some("alice"));
            assert_eq!(follow(tx, text.reveal(), 1)?, None, "once");
            let late = link(tx, "01", [10; 32], 0)?;
            assert_eq!(follow(tx, late.reveal(), LINK_LIFE)?, None, "in time");
            let gone = link(tx, "01", [11; 32], 0)?;
            people::remove(tx, "01", 1)?;
            assert_eq!(follow(tx, gone.reveal(), 1)?, None, "removed");
            Ok(())
        });
    }
}
