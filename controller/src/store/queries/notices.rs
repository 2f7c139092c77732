//! Notices as they go out, a row for each channel.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use serde_json::Value as Json;
use watchkeep_desk::ids::{IncidentId, NoticeId, ProblemId};
use watchkeep_desk::{Effect, Millis};

use super::{Page, Where, bounded};
use crate::store::outbox::{self, COLUMNS, Owed};
use crate::store::{Columns, StoreError, Tx};

/// How a notice stands on one channel: follows from its columns, and is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It is to be tried at its next time.
    Waiting,
    Delivered,
    /// Given up, until a person sends it again.
    Dead,
}

impl State {
    const ALL: [Self; 3] = [Self::Waiting, Self::Delivered, Self::Dead];

    pub fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
        }
    }

    fn condition(self) -> &'static str {
        match self {
            Self::Waiting => "(done_at IS NULL AND dead_at IS NULL)",
            Self::Delivered => "done_at IS NOT NULL",
            Self::Dead => "(done_at IS NULL AND dead_at IS NOT NULL)",
        }
    }

    fn of(owed: &Owed) -> Self {
        match (owed.done_at, owed.dead_at) {
            (Some(_), _) => Self::Delivered,
            (None, Some(_)) => Self::Dead,
            (None, None) => Self::Waiting,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for State {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|state| state.word() == text);
        known.ok_or_else(|| {
            format!("\"{text}\" is no state of a notice; there are {}", Self::ALL.map(Self::word).join(", "))
        })
    }
}

/// Which notices; all that is set must hold.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Empty: any.
    pub states: Vec<State>,
    pub channel: Option<String>,
    pub id: Option<NoticeId>,
}

/// One notice on one channel.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NoticeRow {
    pub id: String,
    /// Empty where no channel was set up when it was owed.
    pub channel: String,
    pub state: State,
    /// `opened`, `resolved`, `approval_wanted` …
    pub why: String,
    pub group: Option<String>,
    pub incident: Option<IncidentId>,
    pub problem: Option<ProblemId>,
    pub title: String,
    pub owed_at: Millis,
    /// When it is tried next; none where it is not.
    pub next_try_at: Option<Millis>,
    /// Attempts that failed.
    pub attempts: u32,
    pub last_error: Option<String>,
    pub delivered_at: Option<Millis>,
    pub dead_at: Option<Millis>,
}

/// The newest owed first.
pub fn list(tx: &mut dyn Tx, filter: &Filter, cursor: Option<&str>, limit: u32) -> Result<Page<NoticeRow>, StoreError> {
    let limit = bounded(limit);
    let mut only = Where::default();
    only.equals("kind", Some("notice"));
    only.equals("channel", filter.channel.as_deref());
    only.equals("id", filter.id.map(|id| id.to_string()));
    if !filter.states.is_empty() {
        let any: Vec<&str> = filter.states.iter().map(|state| state.condition()).collect();
        only.conditions.push(format!("({})", any.join(" OR ")));
    }
    if let Some((at, id, channel)) = cursor.map(read_cursor).transpose()? {
        let (at, id, channel) = (only.place(at), only.place(id), only.place(channel));
        only.conditions.push(format!(
            "(owed_at < {at} OR (owed_at = {at} AND (id < {id} OR (id = {id} AND channel < {channel}))))"
        ));
    }
    let most = only.place(limit + 1);
    let sql =
        format!("SELECT {COLUMNS} FROM outbox{} ORDER BY owed_at DESC, id DESC, channel DESC LIMIT {most}", only.sql());
    let rows = tx.query(&sql, &only.params)?.into_iter().map(|row| outbox::owed(row).map(row_of));
    Ok(Page::cut(rows.collect::<Result<_, _>>()?, limit, |row: &NoticeRow| {
        format!("{}:{}:{}", row.owed_at.0, row.id, row.channel)
    }))
}

/// What a notice says; none: there is no such notice (any more).
pub fn content(tx: &mut dyn Tx, id: NoticeId) -> Result<Option<Json>, StoreError> {
    let sql = "SELECT body FROM outbox WHERE id = $1 AND kind = 'notice' ORDER BY channel LIMIT 1";
    let found = tx.query(sql, &[id.to_string().into()])?.pop();
    let effect = found.map(|row| Columns::new("outbox", row).json::<Effect>()).transpose()?;
    Ok(match effect {
        Some(Effect::Notice(notice)) => Some(notice.content),
        Some(Effect::Command(_)) | None => None,
    })
}

/// How many wait for a channel that failed them at least once, and how many were given up.
pub fn in_trouble(tx: &mut dyn Tx) -> Result<(u64, u64), StoreError> {
    let mut count = |only: &str| {
        let sql = format!("SELECT COUNT(*) FROM outbox WHERE kind = 'notice' AND done_at IS NULL AND {only}");
        tx.query(&sql, &[])?.pop().map_or(Ok(0), |row| Columns::new("outbox", row).count())
    };
    Ok((count("dead_at IS NULL AND attempts > 0")?, count("dead_at IS NOT NULL")?))
}

/// `AT:ID:CHANNEL` of the last one seen; a channel's name may have colons.
fn read_cursor(text: &str) -> Result<(i64, String, String), StoreError> {
    let parts = text.split_once(':').and_then(|(at, rest)| {
        let (id, channel) = rest.split_once(':')?;
        Some((at.parse().ok()?, id.to_owned(), channel.to_owned()))
    });
    parts.ok_or_else(|| StoreError::Cursor { found: text.to_owned() })
}

fn row_of(owed: Owed) -> NoticeRow {
    let state = State::of(&owed);
    let (why, group, incident, problem, title) = match owed.effect {
        Effect::Notice(notice) => {
            let title = notice.content["title"].as_str().unwrap_or_default().to_owned();
            (notice.why, notice.group, notice.incident, notice.problem, title)
        }
        Effect::Command(_) => Default::default(),
    };
    NoticeRow {
        id: owed.errand.id,
        channel: owed.errand.channel,
        state,
        why,
        group,
        incident,
        problem,
        title,
        owed_at: owed.owed_at,
        next_try_at: Some(owed.due_at).filter(|_| state == State::Waiting),
        attempts: owed.attempts,
        last_error: owed.last_error,
        delivered_at: owed.done_at,
        dead_at: owed.dead_at.filter(|_| state == State::Dead),
    }
}
