//! Which series there are: by selector, their labels' names, and the values of one label.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use serde_json::Value;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use watchkeep_rules::promql::ast::ExprKind;
use watchkeep_rules::promql::labels::Labels;
use watchkeep_rules::selector::Selector;

use super::query::{metric, parse};
use super::{ApiState, Asked, Fault, limited, off_thread};
use crate::api::extract::Path;

pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(series)).routes(routes!(labels)).routes(routes!(label_values))
}

#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "it documents parameters that are read by name")]
struct Wanted {
    /// Selectors; a series that one of them takes is wanted.
    #[param(rename = "match[]")]
    matches: Vec<String>,
    /// Seconds since 1970 or RFC 3339; only series with a sample from then on. Without it: an hour before the end.
    start: Option<String>,
    /// As `start`; now where it is left out.
    end: Option<String>,
    /// Items at most; 0: no limit.
    limit: Option<u32>,
}

/// Which series are asked for, over which time, and how many.
struct Question {
    selectors: Vec<Selector>,
    start: i64,
    end: i64,
    limit: usize,
}

/// How long before the end is looked where nobody says, ms: what is in memory.
const SPAN: i64 = 3_600_000;

impl Question {
    fn read(asked: &Asked, now: i64) -> Result<Self, Fault> {
        let end = asked.instant("end", now)?;
        let start = asked.instant("start", end.saturating_sub(SPAN))?;
        if end < start {
            return Err(Fault::bad("end is before start"));
        }
        let selectors = asked.all("match[]").map(selector).collect::<Result<_, _>>()?;
        Ok(Self { selectors, start, end, limit: asked.limit()? })
    }

    /// The label sets that any of the selectors takes; of no selector: all.
    fn answer(&self, state: &ApiState) -> Result<BTreeSet<Labels>, Fault> {
        let everything = [Selector::default()];
        let selectors = if self.selectors.is_empty() { &everything[..] } else { &self.selectors };
        let mut found = BTreeSet::new();
        for selector in selectors {
            // `start` itself is meant, too.
            let after = self.start.saturating_sub(1);
            found.extend(state.samples.labels(selector, after, self.end).map_err(Fault::execution)?);
        }
        Ok(found)
    }
}

pub(super) fn selector(text: &str) -> Result<Selector, Fault> {
    match parse(text)?.kind {
        ExprKind::Vector(selector) => Ok(selector.matchers),
        _ => Err(Fault::bad(format!("match[] \"{text}\" is no selector; write one as up or {{job=\"node\"}}"))),
    }
}

/// The label sets of the series that a selector takes.
#[utoipa::path(
    method(get, post),
    path = "/api/v1/series",
    tag = "samples",
    params(Wanted),
    responses((status = 200, body = Value))
)]
async fn series(State(state): State<ApiState>, asked: Asked) -> Result<Json<Value>, Fault> {
    let question = Question::read(&asked, (state.now)().0)?;
    if question.selectors.is_empty() {
        return Err(Fault::bad("give at least one match[], for example match[]=up"));
    }
    off_thread(move || {
        let found = question.answer(&state)?;
        Ok(limited(found.iter().map(metric).collect(), question.limit))
    })
    .await
}

/// The names of labels.
#[utoipa::path(
    method(get, post),
    path = "/api/v1/labels",
    tag = "samples",
    params(Wanted),
    responses((status = 200, body = Value))
)]
async fn labels(State(state): State<ApiState>, asked: Asked) -> Result<Json<Value>, Fault> {
    let question = Question::read(&asked, (state.now)().0)?;
    off_thread(move || {
        let found = question.answer(&state)?;
        let names: BTreeSet<&str> = found.iter().flat_map(Labels::iter).map(|(name, _)| name).collect();
        Ok(limited(names.into_iter().collect(), question.limit))
    })
    .await
}

/// The values of one label; of `__name__`: the metrics.
#[utoipa::path(
    get,
    path = "/api/v1/label/{name}/values",
    tag = "samples",
    params(("name" = String, Path, description = "The label"), Wanted),
    responses((status = 200, body = Value))
)]
async fn label_values(
    State(state): State<ApiState>,
    Path(name): Path<String>,
    asked: Asked,
) -> Result<Json<Value>, Fault> {
    let question = Question::read(&asked, (state.now)().0)?;
    off_thread(move || {
        let found = question.answer(&state)?;
        let values: BTreeSet<&str> = found.iter().filter_map(|labels| labels.get(&name)).collect();
        Ok(limited(values.into_iter().collect(), question.limit))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(pairs: &[(&str, &str)]) -> Asked {
        Asked(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn selectors_are_repeated_and_time_ends_now() {
        let read = |pairs: &[(&str, &str)]| Question::read(&asked(pairs), 10_000_000).map_err(|fault| fault.message);
        let question = read(&[("match[]", "up"), ("match[]", "{job=\"node\"}"), ("limit", "3")]).expect("it reads");
        let names: Vec<String> = question.selectors.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["{__name__=\"up\"}", "{job=\"node\"}"]);
        assert_eq!((question.start, question.end, question.limit), (10_000_000 - SPAN, 10_000_000, 3));
        let wrong = |pairs| read(pairs).err().expect("a fault");
        assert!(wrong(&[("match[]", "rate(up[5m])")]).contains("is no selector"));
        assert!(wrong(&[("start", "20"), ("end", "10")]).contains("end is before start"));
    }
}
