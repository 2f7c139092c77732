//! How often a key opened, and with which others.
//!
//! A small setting a key, bounded in time and number; the oldest goes first. From it come recurrence (the same key again and
//! again) and the evidence that two keys open together more often than chance has it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Evidence, EvidenceKind};
use crate::Millis;
use crate::ids::{IncidentId, NoticeId, derive};
use crate::incidents::IncidentKey;
use crate::work::Work;

/// Openings remembered of a key, the newest.
const OPENINGS_MOST: usize = 16;
/// Keys that a key is remembered with, those met last.
const PARTNERS_MOST: usize = 16;
/// How long a key is remembered after it last opened, ms …
const REMEMBERED: i64 = 90 * 24 * 60 * 60_000;
/// … and how many keys are.
const KEYS_MAX: usize = 10_000;
/// Keys forgotten in one decision.
const FORGOTTEN_AT_ONCE: usize = 16;
/// Together this often, or it is chance.
const TOGETHER_LEAST: u64 = 2;
/// A doubling of the lift over chance, in hundredths of log odds, and the most that history can weigh.
const DOUBLING: i64 = 69;
pub(super) const HISTORY_MOST: i64 = 300;

const PREFIX: &str = "history/";

/// What is remembered of a key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct History {
    /// Since when it is remembered.
    first: Millis,
    last: Millis,
    /// All openings since then.
    count: u32,
    /// When it opened, newest last, with which incident.
    openings: Vec<(Millis, IncidentId)>,
    /// Digest of another key → how often that one had opened just before, and when last.
    with: BTreeMap<String, (u32, Millis)>,
}

fn digest(key: &IncidentKey) -> String {
    NoticeId(derive("incident_key", &[key.0.as_bytes()])).to_string()
}

fn setting_of(digest: &str) -> String {
    format!("{PREFIX}{digest}")
}

/// When the key that this setting remembers opened last; none where it is another setting.
pub(crate) fn mark_of(name: &str, value: &Value) -> Option<Millis> {
    name.strip_prefix(PREFIX)?;
    value["last"].as_i64().map(Millis)
}

fn read(settings: &BTreeMap<String, Value>, digest: &str) -> Option<History> {
    serde_json::from_value(settings.get(&setting_of(digest))?.clone()).ok()
}

/// Notes that a key opened, just after others.
pub(super) fn note(work: &mut Work<'_>, id: IncidentId, key: &IncidentKey, before: &[IncidentKey]) {
    let digest = digest(key);
    let name = setting_of(&digest);
    let at = work.at;
    let known = read(&work.desk.settings, &digest);
    if let Some(known) = &known {
        work.desk.index.forget_history(known.last, &name);
    }
    let mut history = known.unwrap_or(History { first: at, ..History::default() });
    history.last = at;
    history.count = history.count.saturating_add(1);
    history.openings.push((at, id));
    let surplus = history.openings.len().saturating_sub(OPENINGS_MOST);
    history.openings.drain(..surplus);
    for other in before.iter().filter(|other| *other != key) {
        let met = history.with.entry(self::digest(other)).or_default();
        *met = (met.0.saturating_add(1), at);
    }
    while history.with.len() > PARTNERS_MOST {
        let oldest = history.with.iter().min_by_key(|(digest, met)| (met.1, (*digest).clone()));
        let Some(oldest) = oldest.map(|(digest, _)| digest.clone()) else { break };
        history.with.remove(&oldest);
    }
    work.desk.index.put_history(at, &name);
    work.set_setting(&name, serde_json::to_value(&history).unwrap_or(Value::Null));
    forget(work);
}

fn forget(work: &mut Work<'_>) {
    for _ in 0..FORGOTTEN_AT_ONCE {
        let Some((last, oldest)) = work.desk.index.oldest_history() else { return };
        if work.at.since(last) <= REMEMBERED && work.desk.index.history_len() <= KEYS_MAX {
            return;
        }
        work.desk.index.forget_history(last, &oldest);
        work.set_setting(&oldest, Value::Null);
    }
}

/// The incidents of a key that opened within `within` before now, oldest first.
pub(super) fn openings(work: &Work<'_>, key: &IncidentKey, within: i64) -> Vec<IncidentId> {
    let history = read(&work.desk.settings, &digest(key)).unwrap_or_default();
    let lately = history.openings.into_iter().filter(|(at, _)| work.at.since(*at) <= within);
    lately.map(|(_, id)| id).collect()
}

/// How often two keys opened one just after the other, and each of them at all, and over how long; read in place, as every
/// pair that is weighed asks.
fn met(settings: &BTreeMap<String, Value>, of_a: &str, b: &IncidentKey) -> Option<(u64, u64, i64)> {
    let of_b = digest(b);
    if of_a == of_b {
        return None;
    }
    let (a, b) = (settings.get(&setting_of(of_a))?, settings.get(&setting_of(&of_b))?);
    let met = |history: &Value, other: &str| history["with"][other][0].as_u64().unwrap_or(0);
    let at = |history: &Value, name: &str| history[name].as_i64().unwrap_or(0);
    let chances = a["count"].as_u64()?.saturating_mul(b["count"].as_u64()?).max(1);
    let period = at(a, "last").max(at(b, "last")).saturating_sub(at(a, "first").min(at(b, "first"))).max(1);
    Some((met(a, &of_b).saturating_add(met(b, of_a)), chances, period))
}

/// Under what a key is remembered; none where it never opened before.
pub(super) fn known(settings: &BTreeMap<String, Value>, key: &IncidentKey) -> Option<String> {
    let digest = digest(key);
    settings.contains_key(&setting_of(&digest)).then_some(digest)
}

/// Whether a key, [`known`] under that, opens together with another more often than chance has it.
pub(super) fn together(settings: &BTreeMap<String, Value>, known: &str, other: &IncidentKey) -> Option<Evidence> {
    let (together, chances, period) = met(settings, known, other)?;
    if together < TOGETHER_LEAST {
        return None;
    }
    // By chance, an opening of the one meets an opening of the other in one quarter of an hour of so many.
    let windows = u64::try_from(period / (15 * 60_000)).unwrap_or(0).max(1);
    let lift = windows.saturating_mul(together) / chances;
    let doublings = i64::from(lift.max(1).ilog2());
    let weight = doublings.saturating_mul(DOUBLING).min(HISTORY_MOST);
    let sentence = format!("their keys opened together {together} times before, {lift} times as often as by chance");
    (weight > 0).then_some(Evidence { kind: EvidenceKind::History, weight, sentence })
}
