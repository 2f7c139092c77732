//! People who log in: a name, a role, a password. Removed ones keep their row, so that what they did can be put to a name.
//!
//! Shape: an id is 12 hexadecimal digits, and the ledger names a person by it alone; a name is unique among those in force.

use serde::Serialize;

use super::roles::{Role, RoleError};
use super::sessions;
use crate::store::{Columns, Row, StoreError, Tx};

/// Characters of a name.
const NAME_MAX: usize = 64;

/// Somebody, without the password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Person {
    pub id: String,
    pub name: String,
    pub role: Role,
    /// Whether there is a password; without one only a link logs in.
    pub has_password: bool,
    pub created_at: i64,
    pub created_by: String,
    /// When a session of theirs was last used, to the minute.
    pub seen_at: Option<i64>,
    pub removed_at: Option<i64>,
}

impl Person {
    /// Who acts, as the ledger names them.
    pub fn actor(&self) -> String {
        format!("user:{}", self.id)
    }
}

/// "Al Ice" is no name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{found}\" is no name for a user; it takes 1 to 64 of a-z, 0-9, \".\", \"_\", \"-\" and \"@\", in lower case"
)]
pub struct NameError {
    pub found: String,
}

/// That `name` can be a user's.
///
/// # Errors
/// [`NameError`] says what it takes.
pub fn check_name(name: &str) -> Result<(), NameError> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-@".contains(c);
    let is_name = (1..=NAME_MAX).contains(&name.len()) && name.chars().all(fits);
    if is_name { Ok(()) } else { Err(NameError { found: name.chars().take(NAME_MAX).collect() }) }
}

/// What a new person is to be.
#[derive(Clone, Debug)]
pub struct NewPerson {
    /// 12 hexadecimal digits, drawn.
    pub id: String,
    /// Checked with [`check_name`].
    pub name: String,
    pub role: Role,
    /// As [`super::passwords::hash`] gives it.
    pub password: Option<String>,
    pub created_by: String,
}

/// Adds somebody; false: the name is taken.
pub fn add(tx: &mut dyn Tx, new: &NewPerson, now: i64) -> Result<bool, StoreError> {
    if find(tx, &new.name)?.is_some() {
        return Ok(false);
    }
    tx.execute(
        "INSERT INTO person (id, name, password, role, created_at, created_by) VALUES ($1, $2, $3, $4, $5, $6)",
        &[
            new.id.as_str().into(),
            new.name.as_str().into(),
            new.password.clone().into(),
            new.role.to_string().into(),
            now.into(),
            new.created_by.as_str().into(),
        ],
    )?;
    Ok(true)
}

/// The person in force of this name.
pub fn find(tx: &mut dyn Tx, name: &str) -> Result<Option<Person>, StoreError> {
    one(tx, "name", name)
}

/// The person in force of this id.
pub fn get(tx: &mut dyn Tx, id: &str) -> Result<Option<Person>, StoreError> {
    one(tx, "id", id)
}

fn one(tx: &mut dyn Tx, column: &str, value: &str) -> Result<Option<Person>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM person WHERE {column} = $1 AND removed_at IS NULL");
    tx.query(&sql, &[value.into()])?.into_iter().next().map(read).transpose()
}

/// What is kept of a person's password.
pub fn password(tx: &mut dyn Tx, id: &str) -> Result<Option<String>, StoreError> {
    let sql = "SELECT password FROM person WHERE id = $1 AND removed_at IS NULL";
    let row = tx.query(sql, &[id.into()])?.into_iter().next();
    row.map_or(Ok(None), |row| Columns::new("person", row).opt_text())
}

/// Gives a person in force another password, and ends their sessions.
pub fn set_password(tx: &mut dyn Tx, id: &str, password: &str) -> Result<(), StoreError> {
    tx.execute("UPDATE person SET password = $2 WHERE id = $1", &[id.into(), password.into()])?;
    sessions::end_all(tx, id)
}

/// Gives a person in force another role; sessions have it at once.
pub fn set_role(tx: &mut dyn Tx, id: &str, role: Role) -> Result<(), StoreError> {
    tx.execute("UPDATE person SET role = $2 WHERE id = $1", &[id.into(), role.to_string().into()]).map(drop)
}

/// Removes a person: sessions and links end, the name is free.
pub fn remove(tx: &mut dyn Tx, id: &str, now: i64) -> Result<(), StoreError> {
    tx.execute("UPDATE person SET removed_at = $2, password = NULL WHERE id = $1", &[id.into(), now.into()])?;
    sessions::end_all(tx, id)
}

/// How many administrators are in force.
pub fn administrators(tx: &mut dyn Tx) -> Result<i64, StoreError> {
    let sql = "SELECT COUNT(*) FROM person WHERE role = 'admin' AND removed_at IS NULL";
    let row = tx.query(sql, &[])?.into_iter().next().unwrap_or_default();
    Columns::new("person", row).int()
}

/// People by name behind `after`, removed ones where `with_removed`.
pub fn list(tx: &mut dyn Tx, after: &str, with_removed: bool, limit: u32) -> Result<Vec<Person>, StoreError> {
    // A name can be there more than once among removed ones: the id makes the order whole.
    let (name, id) = after.split_once('/').unwrap_or((after, ""));
    let in_force = if with_removed { "" } else { "AND removed_at IS NULL" };
    let sql = format!(
        "SELECT {COLUMNS} FROM person WHERE (name > $1 OR (name = $1 AND id > $2)) {in_force}
         ORDER BY name, id LIMIT $3"
    );
    tx.query(&sql, &[name.into(), id.into(), limit.into()])?.into_iter().map(read).collect()
}

const COLUMNS: &str = "id, name, role, CAST(CASE WHEN password IS NULL THEN 0 ELSE 1 END AS BIGINT), created_at, created_by, seen_at, removed_at";

fn read(row: Row) -> Result<Person, StoreError> {
    let mut columns = Columns::new("person", row);
    let (id, name, role) = (columns.text()?, columns.text()?, columns.text()?);
    let role = role
        .parse()
        .map_err(|error: RoleError| StoreError::Corrupt { table: "person", found: format!("user {id}: {error}") })?;
    Ok(Person {
        id,
        name,
        role,
        has_password: columns.int()? != 0,
        created_at: columns.int()?,
        created_by: columns.text()?,
        seen_at: columns.opt_int()?,
        removed_at: columns.opt_int()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Sqlite, writing};

    fn new(id: &str, name: &str) -> NewPerson {
        let (id, name) = (id.to_owned(), name.to_owned());
        NewPerson { id, name, role: Role::Responder, password: None, created_by: "up".to_owned() }
    }

    #[test]
    fn a_name_is_one_person_s_until_they_are_removed() {
        let mut store = Sqlite::fresh().expect("a database");
        writing(&mut store, |tx| {
            assert!(add(tx, &new("01", "alice"), 5)?);
            assert!(!add(tx, &new("02", "alice"), 6)?, "taken");
            let alice = find(tx, "alice")?.expect("she is there");
            assert_eq!((alice.id.as_str(), alice.has_password, alice.role), ("01", false, Role::Responder));
            set_password(tx, "01", "hash")?;
            set_role(tx, "01", Role::Admin)?;
            let alice = get(tx, "01")?.expect("she is there");
            assert!(alice.has_password && alice.role == Role::Admin);
            assert_eq!((administrators(tx)?, password(tx, "01")?.as_deref()), (1, Some("hash")));

            remove(tx, "01", 7)?;
            assert_eq!((find(tx, "alice")?, get(tx, "01")?, password(tx, "01")?), (None, None, None));
            assert!(add(tx, &new("02", "alice"), 8)?, "free again");
            assert_eq!((list(tx, "", false, 10)?.len(), administrators(tx)?), (1, 0));
            let all = list(tx, "", true, 1)?;
            assert_eq!((all[0].id.as_str(), all[0].removed_at), ("01", Some(7)), "what was done has a name still");
            assert_eq!(list(tx, "alice/01", true, 1)?[0].id, "02", "and the next page goes on behind it");
            Ok(())
        })
        .expect("written");
    }

    #[test]
    fn a_name_can_be_typed_and_shown() {
        for name in ["alice", "a.b-c_d@example.com", "7"] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        for name in ["", "Alice", "al ice", "a/b", "\u{202e}ecila", &"a".repeat(65)] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
    }
}
