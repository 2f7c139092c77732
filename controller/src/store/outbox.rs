//! The outbox: effects owed to the world, committed with the facts that they follow from, carried out after.
//!
//! At least once: an effect stands here until whoever carries it out says [`done`]; each has an id by which its receiver
//! can tell a second time. A notice has a row for each channel that it goes to, so that one that fails neither holds up nor
//! repeats the others. One that failed waits until `due_at`; one that was given up lies there until a person sends it again.

use serde::Serialize;
use watchkeep_desk::ids::CommandId;
use watchkeep_desk::{Effect, Millis};

use super::{Columns, Row, StoreError, Tx, Value};

/// Which row: an effect, and the way that it goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Errand {
    /// The command's or the notice's own id.
    pub id: String,
    /// The channel of a notice; empty for commands, and for notices that no channel was set up for when they were owed.
    pub channel: String,
}

/// One effect as it waits.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Owed {
    #[serde(flatten)]
    pub errand: Errand,
    pub effect: Effect,
    pub owed_at: Millis,
    /// When it is next to be tried.
    pub due_at: Millis,
    /// Attempts that failed.
    pub attempts: u32,
    /// Why the last one did.
    pub last_error: Option<String>,
    /// When it was carried out.
    pub done_at: Option<Millis>,
    /// When it was given up.
    pub dead_at: Option<Millis>,
}

impl Errand {
    pub fn command(id: CommandId) -> Self {
        Self { id: id.to_string(), channel: String::new() }
    }

    fn values(&self) -> [Value; 2] {
        [self.id.as_str().into(), self.channel.as_str().into()]
    }
}

/// Takes the effects of a decision in, due at once: a notice for each of `channels`. One that is here already is the same
/// effect, and stays as it is.
pub fn owe(tx: &mut dyn Tx, effects: &[Effect], channels: &[String], now: Millis) -> Result<(), StoreError> {
    let (nowhere, mut rows) = (String::new(), Vec::new());
    for effect in effects {
        match effect {
            Effect::Notice(_) if !channels.is_empty() => rows.extend(channels.iter().map(|channel| (effect, channel))),
            _ => rows.push((effect, &nowhere)),
        }
    }
    for (effect, channel) in rows {
        let (kind, id) = name(effect);
        let body = serde_json::to_string(effect).expect("an effect is plain data with text for keys");
        tx.execute(
            "INSERT INTO outbox (id, channel, kind, body, owed_at, due_at, attempts) VALUES ($1, $2, $3, $4, $5, $5, 0)
             ON CONFLICT (id, channel) DO NOTHING",
            &[id.into(), channel.as_str().into(), kind.into(), body.into(), now.into()],
        )?;
    }
    Ok(())
}

/// The kind and the id of an effect.
pub fn name(effect: &Effect) -> (&'static str, String) {
    match effect {
        Effect::Command(order) => ("command", order.command.to_string()),
        Effect::Notice(notice) => ("notice", notice.notice.to_string()),
    }
}

pub(super) const COLUMNS: &str = "id, channel, body, owed_at, due_at, attempts, last_error, done_at, dead_at";

/// What is due at `now`, the longest due first.
pub fn due(tx: &mut dyn Tx, now: Millis, limit: u32) -> Result<Vec<Owed>, StoreError> {
    due_where(tx, "", &[], now, limit)
}

/// Commands that are due, the longest due first.
pub fn due_commands(tx: &mut dyn Tx, now: Millis, limit: u32) -> Result<Vec<Owed>, StoreError> {
    due_where(tx, " AND kind = 'command'", &[], now, limit)
}

/// Notices that are due on each of `channels` and on any that is none of them, the longest due first, `limit` of each: what
/// waits for one channel does not stand before what another could take.
pub fn due_notices(tx: &mut dyn Tx, channels: &[String], now: Millis, limit: u32) -> Result<Vec<Owed>, StoreError> {
    let mut due = Vec::new();
    for channel in channels {
        let here = [Value::from(channel.as_str())];
        due.extend(due_where(tx, " AND kind = 'notice' AND channel = $3", &here, now, limit)?);
    }
    let known: Vec<Value> = channels.iter().map(|channel| channel.as_str().into()).collect();
    let places: Vec<String> = (0..known.len()).map(|place| format!("${}", place + 3)).collect();
    let elsewhere = match places.as_slice() {
        [] => " AND kind = 'notice'".to_owned(),
        places => format!(" AND kind = 'notice' AND channel NOT IN ({})", places.join(", ")),
    };
    due.extend(due_where(tx, &elsewhere, &known, now, limit)?);
    Ok(due)
}

fn due_where(tx: &mut dyn Tx, only: &str, values: &[Value], now: Millis, limit: u32) -> Result<Vec<Owed>, StoreError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM outbox WHERE done_at IS NULL AND dead_at IS NULL AND due_at <= $1{only}
         ORDER BY due_at, id, channel LIMIT $2"
    );
    let mut all = vec![now.into(), limit.into()];
    all.extend_from_slice(values);
    tx.query(&sql, &all)?.into_iter().map(owed).collect()
}

/// Everything not done and not given up, due or not, the longest due first; what a controller that starts takes up again.
pub fn waiting(tx: &mut dyn Tx, limit: u32) -> Result<Vec<Owed>, StoreError> {
    due(tx, Millis(i64::MAX), limit)
}

/// When the next effect falls due; none where nothing is owed.
pub fn next_due(tx: &mut dyn Tx) -> Result<Option<Millis>, StoreError> {
    let sql = "SELECT MIN(due_at) FROM outbox WHERE done_at IS NULL AND dead_at IS NULL";
    tx.query(sql, &[])?.pop().map_or(Ok(None), |row| Ok(Columns::new("outbox", row).opt_int()?.map(Millis)))
}

/// It was carried out. Said twice it changes nothing.
pub fn done(tx: &mut dyn Tx, errand: &Errand, now: Millis) -> Result<(), StoreError> {
    let [id, channel] = errand.values();
    let sql = "UPDATE outbox SET done_at = $3 WHERE id = $1 AND channel = $2 AND done_at IS NULL";
    tx.execute(sql, &[id, channel, now.into()]).map(drop)
}

/// It could not be carried out; it is due again at `again_at`.
pub fn failed(tx: &mut dyn Tx, errand: &Errand, error: &str, again_at: Millis) -> Result<(), StoreError> {
    let [id, channel] = errand.values();
    let sql = "UPDATE outbox SET attempts = attempts + 1, last_error = $3, due_at = $4
         WHERE id = $1 AND channel = $2 AND done_at IS NULL";
    tx.execute(sql, &[id, channel, error.into(), again_at.into()]).map(drop)
}

/// It is given up.
pub fn give_up(tx: &mut dyn Tx, errand: &Errand, error: &str, now: Millis) -> Result<(), StoreError> {
    let [id, channel] = errand.values();
    let sql = "UPDATE outbox SET attempts = attempts + 1, last_error = $3, dead_at = $4
         WHERE id = $1 AND channel = $2 AND done_at IS NULL";
    tx.execute(sql, &[id, channel, error.into(), now.into()]).map(drop)
}

/// The notice is due now on each of these channels, with all its attempts before it, however it stood there and whether it was
/// owed there before. A notice that is not here is not made.
pub fn send_to(tx: &mut dyn Tx, id: &str, channels: &[String], now: Millis) -> Result<(), StoreError> {
    for channel in channels {
        tx.execute(
            "INSERT INTO outbox (id, channel, kind, body, owed_at, due_at, attempts)
                 SELECT id, CAST($2 AS TEXT), kind, body, owed_at, CAST($3 AS BIGINT), 0 FROM outbox
                 WHERE id = $1 AND kind = 'notice' ORDER BY channel LIMIT 1
             ON CONFLICT (id, channel) DO UPDATE SET due_at = excluded.due_at, attempts = 0, last_error = NULL,
                 done_at = NULL, dead_at = NULL",
            &[id.into(), channel.as_str().into(), now.into()],
        )?;
    }
    // It stood for having nowhere to go.
    let elsewhere = "DELETE FROM outbox WHERE id = $1 AND channel = '' AND kind = 'notice'";
    if channels.is_empty() { Ok(()) } else { tx.execute(elsewhere, &[id.into()]).map(drop) }
}

/// Forgets what was done, or given up, before `before`, `limit` at most; how many. The ledger keeps the story.
pub fn forget_done(tx: &mut dyn Tx, before: Millis, limit: u32) -> Result<u64, StoreError> {
    let sql = "DELETE FROM outbox WHERE (id, channel) IN
         (SELECT id, channel FROM outbox WHERE done_at < $1 OR dead_at < $1 ORDER BY owed_at, id, channel LIMIT $2)";
    tx.execute(sql, &[before.into(), limit.into()])
}

pub(super) fn owed(row: Row) -> Result<Owed, StoreError> {
    let mut columns = Columns::new("outbox", row);
    Ok(Owed {
        errand: Errand { id: columns.text()?, channel: columns.text()? },
        effect: columns.json()?,
        owed_at: Millis(columns.int()?),
        due_at: Millis(columns.int()?),
        attempts: u32::try_from(columns.int()?).unwrap_or(u32::MAX),
        last_error: columns.opt_text()?,
        done_at: columns.opt_int()?.map(Millis),
        dead_at: columns.opt_int()?.map(Millis),
    })
}
