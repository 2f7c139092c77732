//! Alerts as they are shown, whoever made them.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use watchkeep_desk::ids::IncidentId;
use watchkeep_desk::incidents::AlertStanding;
use watchkeep_desk::{Desk, Millis, silences};

use super::silences::uuid;
use super::{ApiState, Fault, rfc3339};
use crate::detect::outside::Labels;

/// An alert that fires.
#[derive(Clone, Debug)]
pub struct Shown {
    pub labels: Labels,
    pub annotations: Labels,
    pub starts_at: i64,
    pub updated_at: i64,
    pub source: String,
    /// Ids of the silences that take it.
    pub silenced_by: Vec<String>,
    /// The incident that it is an alert of; none while it is held back.
    pub incident: Option<IncidentId>,
}

/// All that fires, by labels.
pub async fn all(state: &ApiState) -> Result<Vec<Shown>, Fault> {
    let now = (state.now)();
    Ok(state.core.look(move |desk, _| of(desk, now)).await?)
}

fn of(desk: &Desk, now: Millis) -> Vec<Shown> {
    let silenced_by = |labels: &Labels| silences::silenced_by(desk, labels, now).into_iter().map(uuid).collect();
    let mut shown: BTreeMap<Labels, Shown> = BTreeMap::new();
    for kept in silences::suppressed(desk) {
        let alert = Shown {
            silenced_by: silenced_by(&kept.alert.labels),
            source: kept.alert.outside().unwrap_or_default().to_owned(),
            starts_at: kept.alert.happened_at.0,
            updated_at: kept.since.0,
            incident: None,
            labels: kept.alert.labels.clone(),
            annotations: kept.alert.annotations,
        };
        shown.insert(kept.alert.labels, alert);
    }
    for incident in desk.incidents() {
        for alert in incident.alerts.iter().filter(|alert| alert.standing != AlertStanding::Cleared) {
            let of_incident = Shown {
                labels: alert.labels.clone(),
                annotations: alert.annotations.clone(),
                starts_at: alert.first_seen.0,
                updated_at: alert.last_seen.0,
                source: alert.outside.clone().unwrap_or_default(),
                silenced_by: silenced_by(&alert.labels),
                incident: Some(incident.id),
            };
            shown.insert(alert.labels.clone(), of_incident);
        }
    }
    shown.into_values().collect()
}

impl Shown {
    pub fn is_silenced(&self) -> bool {
        !self.silenced_by.is_empty()
    }

    /// As Alertmanager shows it. `ends_at`: until when it is believed.
    pub fn json(&self, ends_at: i64, receivers: &[String]) -> Value {
        let mut shown = json!({
            "labels": self.labels,
            "annotations": self.annotations,
            "startsAt": rfc3339(self.starts_at),
            "updatedAt": rfc3339(self.updated_at),
            "endsAt": rfc3339(ends_at),
            "fingerprint": fingerprint(&self.labels),
            "receivers": receivers.iter().map(|name| json!({"name": name})).collect::<Vec<_>>(),
            "status": {
                "state": if self.is_silenced() { "suppressed" } else { "active" },
                "silencedBy": self.silenced_by,
                "inhibitedBy": [],
            },
        });
        if !self.source.is_empty() {
            shown["generatorURL"] = self.source.clone().into();
        }
        shown
    }
}

/// The hash that Prometheus knows labels by: FNV-1a of 64 bits over names and values, each with a byte of 255 behind it.
fn fingerprint(labels: &Labels) -> String {
    const START: u64 = 14_695_981_039_346_656_037;
    const PRIME: u64 = 1_099_511_628_211;
    let bytes = labels.iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]);
    let bytes = bytes.flat_map(|text| text.bytes().chain([255]));
    let hash = bytes.fold(START, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME));
    format!("{hash:016x}")
}
