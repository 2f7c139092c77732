//! What the store says when it cannot.

/// The driver's error stays inside, as the cause.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{doing}")]
    Database {
        /// `append 3 facts`, `read incidents`.
        doing: String,
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Another controller took the lease over; this one must stop deciding.
    #[error("epoch {ours} is over, {theirs} has begun")]
    Fenced { ours: u64, theirs: u64 },
    /// Another controller holds the lease, and may not be dead.
    #[error(transparent)]
    Held(#[from] super::lease::Held),
    /// What was read does not fit what this code writes.
    #[error("{table}: {found}")]
    Corrupt { table: &'static str, found: String },
    /// The address of a database cannot be used as it is written.
    #[error("store address \"{address}\": {found}")]
    Address {
        /// Without its password.
        address: String,
        found: String,
    },
    /// The database's schema is not one that this program may work on.
    #[error("schema: {0}")]
    Schema(String),
    /// A savepoint or transaction was to be kept although one of its statements had failed.
    #[error("not kept, since a statement in it failed: {0}")]
    Doomed(String),
    /// The cursor that a caller handed in is none of that list.
    #[error("\"{found}\" is no cursor of this list; hand back the one that the page before gave, or none")]
    Cursor { found: String },
    /// Every connection of the pool was in use for too long.
    #[error("all {connections} read connections stayed busy for {waited_secs} s; try again, or ask for less at a time")]
    Busy { connections: usize, waited_secs: u64 },
}

impl StoreError {
    /// An error of a driver, met while `doing`.
    pub(crate) fn database(doing: impl Into<String>, cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Database { doing: doing.into(), cause: Box::new(cause) }
    }

    /// Whether it is what was to be written that the database refused: a text that it cannot hold, a value out of range, a
    /// row that is there already. Anything else (no room, no connection, no right) may be other the next time.
    pub fn is_of_the_input(&self) -> bool {
        let Self::Database { cause, .. } = self else { return false };
        if let Some(rusqlite::Error::SqliteFailure(failure, _)) = cause.downcast_ref() {
            use rusqlite::ErrorCode::{ConstraintViolation, TooBig, TypeMismatch};
            return matches!(failure.code, ConstraintViolation | TooBig | TypeMismatch);
        }
        // Classes 22 (data exception), 23 (integrity constraint violation) and 54 (program limit exceeded).
        let state = cause.downcast_ref::<postgres::Error>().and_then(postgres::Error::code);
        state.is_some_and(|state| ["22", "23", "54"].iter().any(|class| state.code().starts_with(class)))
    }

    /// The error and its causes in one line, as the edge prints it.
    pub fn chain(&self) -> String {
        let mut line = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            line.push_str(": ");
            line.push_str(&error.to_string());
            cause = error.source();
        }
        line
    }
}

/// The beginning of a statement on one line, for [`StoreError::Database`]; parameters are left out, since they may be
/// secret.
pub(crate) fn statement(sql: &str) -> String {
    const KEPT: usize = 100;
    let words = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    match words.char_indices().nth(KEPT) {
        Some((cut, _)) => format!("run \"{} …\"", &words[..cut]),
        None => format!("run \"{words}\""),
    }
}
