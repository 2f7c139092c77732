//! Which incident of a key was the last one, after the desk has let go of it.
//!
//! A small setting a key, so that a later incident can name the earlier one. Bounded in time and number; the oldest goes first.

use serde_json::{Value, json};

use super::IncidentKey;
use crate::Millis;
use crate::ids::{IncidentId, derive};
use crate::work::Work;

/// How long a key is remembered after its last incident was closed, ms …
const REMEMBERED: i64 = 90 * 24 * 60 * 60_000;
/// … and how many keys are.
const KEYS_MAX: usize = 10_000;
/// Keys forgotten in one decision, so that a thousand that are too old at once do not hold up the desk.
const FORGOTTEN_AT_ONCE: usize = 16;

const PREFIX: &str = "earlier/";

/// The setting of a key: by digest, as a key has no bound on its length.
fn setting_of(key: &IncidentKey) -> String {
    let digest = derive("incident_key", &[key.0.as_bytes()]);
    format!("{PREFIX}{}", crate::ids::NoticeId(digest))
}

/// When the incident that this setting remembers was closed; none where it is another setting.
pub(crate) fn mark_of(name: &str, value: &Value) -> Option<Millis> {
    name.strip_prefix(PREFIX)?;
    value["closed_at"].as_i64().map(Millis)
}

/// The last incident of the key that is over, where it is remembered.
pub(super) fn of(work: &Work<'_>, key: &IncidentKey) -> Option<IncidentId> {
    let name = setting_of(key);
    let value = work.setting(&name)?;
    let closed_at = mark_of(&name, value)?;
    let remembered = work.at.since(closed_at) <= REMEMBERED;
    serde_json::from_value(value["incident"].clone()).ok().filter(|_| remembered)
}

/// The incident is over: remembers it as the last of its key, and forgets what is too old or too many.
pub(super) fn remember(work: &mut Work<'_>, key: &IncidentKey, id: IncidentId) {
    let name = setting_of(key);
    if let Some(before) = work.setting(&name).and_then(|value| mark_of(&name, value)) {
        work.desk.index.forget_earlier(before, &name);
    }
    work.desk.index.put_earlier(work.at, &name);
    let value = json!({ "incident": id, "closed_at": work.at });
    work.set_setting(&name, value);
    for _ in 0..FORGOTTEN_AT_ONCE {
        let Some((closed_at, oldest)) = work.desk.index.oldest_earlier() else { return };
        let is_old = work.at.since(closed_at) > REMEMBERED;
        if !is_old && work.desk.index.earlier_len() <= KEYS_MAX {
            return;
        }
        work.desk.index.forget_earlier(closed_at, &oldest);
        work.set_setting(&oldest, Value::Null);
    }
}
