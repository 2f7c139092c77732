//! What fires, as a list and by incident.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{RawQuery, State};
use serde_json::{Value, json};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use watchkeep_desk::ids::IncidentId;
use watchkeep_rules::selector::{Selector, anchored};

use super::shown::{self, Shown};
use super::status::receivers;
use super::{ApiState, Asked, Fault};
use crate::detect::outside::Labels;

pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(alerts)).routes(routes!(groups))
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it documents parameters that are read by name")]
struct WantedAlerts {
    /// Matchers, `name="value"`; all must hold.
    filter: Vec<String>,
    /// `false`: without those that no silence takes.
    active: Option<bool>,
    /// `false`: without those that one takes.
    silenced: Option<bool>,
    /// Taken, and without effect: nothing inhibits here.
    inhibited: Option<bool>,
    unprocessed: Option<bool>,
    /// A pattern that the name of a receiver matches.
    receiver: Option<String>,
}

/// Which alerts are asked for.
struct Wanted {
    filter: Selector,
    active: bool,
    silenced: bool,
    receivers: Vec<String>,
    is_no_receiver: bool,
}

impl Wanted {
    fn read(state: &ApiState, query: Option<&str>) -> Result<Self, Fault> {
        let asked = Asked::of(query);
        asked.wants("inhibited")?;
        asked.wants("unprocessed")?;
        let all = receivers(&state.generation.borrow());
        let mut is_no_receiver = false;
        if let Some(pattern) = asked.all("receiver").find(|pattern| !pattern.is_empty()) {
            let pattern = anchored(pattern).map_err(|why| Fault::bad(format!("receiver \"{pattern}\": {why}")))?;
            is_no_receiver = !all.iter().any(|name| pattern.is_match(name));
        }
        let (active, silenced) = (asked.wants("active")?, asked.wants("silenced")?);
        Ok(Self { filter: asked.filter()?, active, silenced, receivers: all, is_no_receiver })
    }

    fn takes(&self, alert: &Shown) -> bool {
        let is_of_state = if alert.is_silenced() { self.silenced } else { self.active };
        is_of_state && !self.is_no_receiver && self.filter.matches(&alert.labels)
    }
}

/// All alerts that fire: of rules here, and those that others sent.
#[utoipa::path(get, path = "/api/v2/alerts", tag = "alertmanager", params(WantedAlerts), responses((status = 200, body = Vec<Value>)))]
async fn alerts(State(state): State<ApiState>, RawQuery(query): RawQuery) -> Result<Json<Vec<Value>>, Fault> {
    let wanted = Wanted::read(&state, query.as_deref())?;
    let all = shown::all(&state).await?;
    let taken = all.iter().filter(|alert| wanted.takes(alert));
    Ok(Json(taken.map(|alert| json_of(&state, alert, &wanted.receivers)).collect()))
}

/// The same by incident: labels are those that all its alerts share. What silences hold back is a group by itself.
#[utoipa::path(get, path = "/api/v2/alerts/groups", tag = "alertmanager", params(WantedAlerts), responses((status = 200, body = Vec<Value>)))]
async fn groups(State(state): State<ApiState>, RawQuery(query): RawQuery) -> Result<Json<Vec<Value>>, Fault> {
    let wanted = Wanted::read(&state, query.as_deref())?;
    let mut groups: BTreeMap<Option<IncidentId>, Vec<Shown>> = BTreeMap::new();
    for alert in shown::all(&state).await?.into_iter().filter(|alert| wanted.takes(alert)) {
        groups.entry(alert.incident).or_default().push(alert);
    }
    let of = |name: &String, alerts: &Vec<Shown>| {
        let alerts_json: Vec<Value> = alerts.iter().map(|alert| json_of(&state, alert, &wanted.receivers)).collect();
        json!({"labels": shared(alerts), "receiver": {"name": name}, "alerts": alerts_json})
    };
    let all = groups.values().flat_map(|alerts| wanted.receivers.iter().map(move |name| of(name, alerts)));
    Ok(Json(all.collect()))
}

fn json_of(state: &ApiState, alert: &Shown, receivers: &[String]) -> Value {
    // What a rule here makes is believed as if it had been sent just now.
    let timeout = state.generation.borrow().config.settings.resolve_timeout;
    let ends_at = state.outside.ends_at(&alert.labels).unwrap_or_else(|| (state.now)().plus(timeout).0);
    alert.json(ends_at, receivers)
}

fn shared(alerts: &[Shown]) -> Labels {
    let Some(first) = alerts.first() else { return Labels::new() };
    let in_all =
        |(name, value): &(&String, &String)| alerts.iter().all(|alert| alert.labels.get(*name) == Some(*value));
    first.labels.iter().filter(in_all).map(|(name, value)| (name.clone(), value.clone())).collect()
}
