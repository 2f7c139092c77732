//! `/fleet`: every agent with its health, and what one agent's own account says.
//!
//! Nothing is asked of a host for it: what the store knows, the live session, and the figures that each agent measures of
//! itself are put together, so that an agent that is away is judged by the same words.

mod account;
mod figures;

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use watchkeep_desk::input::AgentEvent;
use watchkeep_desk::{Fact, FactBody};
use watchkeep_rules::selector::Selector;

use super::extract::{Path, Query};
use super::problem::Problem;
use super::story::{self, Earlier};
use super::{ApiState, PageQuery};
use crate::fleet::session::Live;
use crate::ledger::SubjectRef;
use crate::store::queries::agents::{self, AgentRow};
use account::Account;
use figures::Figures;

/// Agents of which the figures are read at once.
const AT_ONCE: u32 = 500;
/// Agents looked at for one page of a selector; where fewer fit, the page is short and its cursor goes on.
const SCANNED_MAX: usize = 5_000;
/// What an agent said of itself that a diagnosis tells, the newest.
const SAID: usize = 10;

pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(diagnose))
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// `{environment="production", health!="healthy"}`: over the labels of the enrolment, and `instance`, `standing`,
    /// `health`, `version`.
    selector: Option<String>,
    limit: Option<u32>,
    cursor: Option<String>,
}

/// Every agent with its health, version, lag, spool and clock, by name.
#[utoipa::path(get, path = "/api/v1/fleet", tag = "fleet", operation_id = "fleet_list", params(Wanted), responses((status = 200, body = Value)))]
async fn list(State(state): State<ApiState>, Query(wanted): Query<Wanted>) -> Result<Json<Value>, Problem> {
    let limit = PageQuery::checked_limit(wanted.limit)? as usize;
    let selector = wanted.selector.as_deref().map(Selector::parse).transpose();
    let selector = selector.map_err(|error| Problem::invalid(format!("selector: {error}")))?.unwrap_or_default();
    let (mut items, mut cursor, mut scanned) = (Vec::new(), wanted.cursor, 0);
    loop {
        let after = cursor.take();
        let page =
            state.read(move |tx| agents::list(tx, &agents::Filter::default(), after.as_deref(), AT_ONCE)).await?;
        scanned += page.items.len();
        let more = page.next.is_some();
        let accounts = accounts(&state, page.items).await?;
        let last = accounts.last().map(|account| account.name.clone());
        let mut fitting = accounts.into_iter().filter(|account| selector.matches(&account.labels_to_select()));
        items.extend(fitting.by_ref().take(limit - items.len()));
        // One more that fits says that the list goes on behind the last that is shown.
        if fitting.next().is_some() {
            let shown = items.last().map(|account: &Account| account.name.clone());
            return Ok(Json(json!({"items": items, "next": shown})));
        }
        if !more || scanned >= SCANNED_MAX {
            return Ok(Json(json!({"items": items, "next": last.filter(|_| more)})));
        }
        cursor = last;
    }
}

/// One agent's account of itself: its health with what to do, its collectors that fail, and what it said last.
#[utoipa::path(get, path = "/api/v1/agents/{name}/diagnosis", tag = "fleet", params(("name" = String, Path)), responses((status = 200, body = Value)))]
async fn diagnose(State(state): State<ApiState>, Path(name): Path<String>) -> Result<Json<Value>, Problem> {
    let wanted = name.clone();
    let row = state.read(move |tx| agents::get(tx, &wanted)).await?;
    let row = row.ok_or_else(|| Problem::not_found(&format!("agent \"{name}\"")))?;
    let reader = state.samples.clone();
    let (now, of) = ((state.now)().0, name.clone());
    let failing = off_thread(move || figures::failing_collectors(&reader, &of, now)).await?;
    let account = accounts(&state, vec![row]).await?.pop();
    let mut account = account.ok_or_else(|| Problem::not_found(&format!("agent \"{name}\"")))?;
    account.judge_collectors(&failing);
    let subjects = [SubjectRef::new("agent", &*name)];
    let entries = state.read(move |tx| story::read(tx, &subjects, &Earlier::default())).await?;
    let told = entries.iter().rev().filter_map(|entry| {
        let fact: Fact = serde_json::from_value(entry.fact.clone()?).ok()?;
        match fact.body {
            FactBody::Agent(AgentEvent::Said { what, detail }) => {
                Some(json!({"happened_at": fact.happened_at, "what": what, "detail": detail}))
            }
            _ => None,
        }
    });
    let said: Vec<Value> = told.take(SAID).collect();
    let mut answer = json!(account);
    answer["failing_collectors"] = json!(failing);
    answer["said"] = json!(said);
    Ok(Json(answer))
}

/// The accounts of these agents, in their order.
async fn accounts(state: &ApiState, rows: Vec<AgentRow>) -> Result<Vec<Account>, Problem> {
    let names: Vec<String> = rows.iter().map(|row| row.agent.name.clone()).collect();
    let (reader, now) = (state.samples.clone(), (state.now)().0);
    let mut figures: BTreeMap<String, Figures> = off_thread(move || figures::of(&reader, &names, now)).await?;
    let live: BTreeMap<String, Live> = state.downlinks.live.with(|live| {
        rows.iter().filter_map(|row| Some((row.agent.name.clone(), live.get(&row.agent.name)?.clone()))).collect()
    });
    let account = |row: AgentRow| {
        let measured = figures.remove(&row.agent.name);
        let live = live.get(&row.agent.name);
        Account::of(row, live, measured, now)
    };
    Ok(rows.into_iter().map(account).collect())
}

/// Reads samples off the async threads.
async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, Problem> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome.map_err(|told| Problem::internal("reading samples", &std::io::Error::other(told))),
        Err(ended) => Err(Problem::internal("reading samples", &ended)),
    }
}
