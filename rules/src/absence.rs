//! Why an expression gives nothing any more for labels that it gave something for: missing is not healthy.
//!
//! Prometheus takes every absence for "the condition is false". Of a host that an agent speaks for more is known: a series
//! that *ended* has its stale marker, one that is *missing* simply has no newer samples, and only where all that the
//! expression reads is there, it is false.

use std::collections::BTreeMap;

use crate::promql::ast::{BinaryOp, Expr, ExprKind, VectorSelector};
use crate::promql::labels::NAME;
use crate::promql::series::{Point, Samples, Series};
use crate::selector::{MatchOp, Matcher, Selector};

/// What an absent result means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Absence {
    /// All that the expression reads is there: its condition is false.
    False,
    /// Whoever reports this series says that it has ended.
    Ended { series: String },
    /// It ended together with its host's `up`: the agent was stopped, and nobody said that what it watched is gone.
    Stopped { series: String },
    /// Nobody said anything of what this selector takes for longer than the lookback.
    Missing { selector: String },
    /// It is there again, but not for long enough: the range has fewer than two points.
    Refilling { selector: String },
}

/// How far beyond a selector's own window an end is looked for, ms: longer than any collector pauses.
const BEFORE: i64 = 600_000;

/// What it means that `expr` gives nothing for `labels` at `at`. `lookback` is that of instant selectors, ms.
///
/// What `unless` takes away and what `absent()` asks for may be missing; of `or` one side is enough. Selectors of another time
/// (`offset`, `@`) say nothing of now.
///
/// # Errors
/// The samples cannot be read.
pub fn absence(
    expr: &Expr,
    labels: &BTreeMap<String, String>,
    samples: &dyn Samples,
    at: i64,
    lookback: i64,
) -> Result<Absence, String> {
    Looking { labels, samples, at, lookback }.expr(expr)
}

struct Looking<'a> {
    labels: &'a BTreeMap<String, String>,
    samples: &'a dyn Samples,
    at: i64,
    lookback: i64,
}

impl Looking<'_> {
    fn expr(&self, expr: &Expr) -> Result<Absence, String> {
        match &expr.kind {
            ExprKind::Number(_) | ExprKind::Duration(_) | ExprKind::String(_) => Ok(Absence::False),
            ExprKind::Vector(selector) => self.selector(selector, 0),
            ExprKind::Matrix { selector, range } => self.selector(selector, *range),
            ExprKind::Subquery { expr, .. } | ExprKind::Negate(expr) | ExprKind::Plus(expr) | ExprKind::Paren(expr) => {
                self.expr(expr)
            }
            ExprKind::Call { function, .. } if function.name.starts_with("absent") => Ok(Absence::False),
            ExprKind::Call { args, .. } => {
                args.iter().try_fold(Absence::False, |so_far, arg| Ok(both(so_far, self.expr(arg)?)))
            }
            ExprKind::Aggregate { expr, .. } => self.expr(expr),
            ExprKind::Binary(binary) => {
                let lhs = self.expr(&binary.lhs)?;
                match binary.op {
                    BinaryOp::Unless => Ok(lhs),
                    BinaryOp::Or if lhs == Absence::False => Ok(lhs),
                    BinaryOp::Or => Ok(either(lhs, self.expr(&binary.rhs)?)),
                    _ => Ok(both(lhs, self.expr(&binary.rhs)?)),
                }
            }
        }
    }

    fn selector(&self, selector: &VectorSelector, range: i64) -> Result<Absence, String> {
        if selector.when.at.is_some() || selector.when.offset != 0 {
            return Ok(Absence::False);
        }
        let after = self.at.saturating_sub(self.lookback.max(range)).saturating_sub(BEFORE);
        let mut found = self.samples.select(&selector.matchers, after, self.at)?;
        found.retain(|series| self.is_of_these(series));
        let fresh_after = self.at.saturating_sub(self.lookback);
        let newest = |series: &Series| series.points.last().copied();
        let is_fresh =
            |series: &&Series| newest(series).is_some_and(|point| !point.is_stale() && point.at > fresh_after);
        let mut fresh = found.iter().filter(is_fresh).peekable();
        if fresh.peek().is_some() {
            let begin = self.at.saturating_sub(range);
            let is_filled = |series: &Series| {
                series.points.iter().filter(|point| point.at > begin && !point.is_stale()).nth(1).is_some()
            };
            return Ok(match range == 0 || fresh.any(is_filled) {
                true => Absence::False,
                false => Absence::Refilling { selector: selector.matchers.to_string() },
            });
        }
        let ended: Vec<(&Series, i64)> = found.iter().filter_map(|series| Some((series, ended_at(series)?))).collect();
        let stops = if ended.is_empty() { Vec::new() } else { self.stops(after)? };
        let stopped = ended.iter().find(|(_, at)| stops.contains(at));
        Ok(match (stopped, ended.first()) {
            (Some((series, _)), _) => Absence::Stopped { series: spoken(series) },
            (None, Some((series, _))) => Absence::Ended { series: spoken(series) },
            (None, None) => Absence::Missing { selector: selector.matchers.to_string() },
        })
    }

    /// When the host that the labels name was stopped: its `up` ended, and everything of it at the same instant.
    fn stops(&self, after: i64) -> Result<Vec<i64>, String> {
        let Some(instance) = self.labels.get("instance") else { return Ok(Vec::new()) };
        let equal = |label: &str, value: &str| Matcher { label: label.into(), op: MatchOp::Equal, value: value.into() };
        let up = Selector { matchers: vec![equal(NAME, "up"), equal("instance", instance)] };
        let found = self.samples.select(&up, after, self.at)?;
        let points = found.iter().flat_map(|series| &series.points);
        Ok(points.filter(|point| point.is_stale()).map(|point| point.at).collect())
    }

    /// Whether the series agrees with the labels wherever both have one.
    fn is_of_these(&self, series: &Series) -> bool {
        series.labels.iter().all(|(name, value)| self.labels.get(name).is_none_or(|wanted| wanted == value))
    }
}

/// Both are needed: what is worst said of one holds; an end explains a silence.
fn both(one: Absence, other: Absence) -> Absence {
    match (one, other) {
        (Absence::False, other) => other,
        (ended @ Absence::Ended { .. }, _) | (_, ended @ Absence::Ended { .. }) => ended,
        (one, _) => one,
    }
}

/// One is enough.
fn either(one: Absence, other: Absence) -> Absence {
    if other == Absence::False { other } else { both(one, other) }
}

/// When the series ended, where its newest point says so.
fn ended_at(series: &Series) -> Option<i64> {
    series.points.last().filter(|point| point.is_stale()).map(|point: &Point| point.at)
}

fn spoken(series: &Series) -> String {
    let name = series.labels.get(NAME).unwrap_or_default();
    let rest: Vec<String> = series
        .labels
        .iter()
        .filter(|(label, _)| *label != NAME)
        .map(|(label, value)| format!("{label}={value:?}"))
        .collect();
    format!("{name}{{{}}}", rest.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::labels::Labels;
    use crate::promql::parse;
    use crate::selector::Compiled;

    const MINUTE: i64 = 60_000;
    const NOW: i64 = 100 * MINUTE;

    /// Series by their text, each with how many minutes ago its points are; a minus sign says that it is a stale marker.
    struct Kept(Vec<Series>);

    impl Kept {
        fn of(series: &[(&str, &[i64])]) -> Self {
            Self(series.iter().map(|(text, points)| one(text, points)).collect())
        }
    }

    fn one(text: &str, points: &[i64]) -> Series {
        let (metric, selector) = Selector::parse_with_metric(text).expect("the test's own selector");
        let name = metric.map(|metric| (NAME.to_owned(), metric));
        let labels = selector.matchers.into_iter().map(|matcher| (matcher.label, matcher.value));
        let point = |ago: &i64| match *ago {
            ago if ago < 0 => Point::stale(NOW + ago * MINUTE),
            ago => Point { at: NOW - ago * MINUTE, value: 1.0 },
        };
        Series::new(Labels::new(labels.chain(name)), points.iter().map(point).collect())
    }

    impl Samples for Kept {
        fn select(&self, matchers: &Selector, after: i64, until: i64) -> Result<Vec<Series>, String> {
            let compiled = Compiled::new(matchers).map_err(|error| error.message)?;
            let taken = self.0.iter().filter(|series| compiled.matches_by(|name| series.labels.get(name)));
            let cut = taken.map(|series| {
                let within = |point: &&Point| point.at > after && point.at <= until;
                Series { points: series.points.iter().filter(within).copied().collect(), ..series.clone() }
            });
            Ok(cut.filter(|series| !series.points.is_empty()).collect())
        }
    }

    fn judged(expr: &str, series: &[(&str, &[i64])]) -> String {
        let expr = parse(expr).expect("the test's own expression");
        let labels = [("instance", "web-1"), ("mountpoint", "/srv")];
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        match absence(&expr, &labels, &Kept::of(series), NOW, 5 * MINUTE) {
            Ok(Absence::False) => "false".to_owned(),
            Ok(Absence::Ended { series }) => format!("ended {series}"),
            Ok(Absence::Stopped { series }) => format!("stopped {series}"),
            Ok(Absence::Missing { selector }) => format!("missing {selector}"),
            Ok(Absence::Refilling { selector }) => format!("refilling {selector}"),
            Err(error) => error,
        }
    }

    const AVAIL: &str = "avail{instance=\"web-1\", mountpoint=\"/srv\"}";
    const SIZE: &str = "size{instance=\"web-1\", mountpoint=\"/srv\"}";

    #[test]
    fn false_is_said_only_where_all_that_is_read_is_there() {
        let missing = "missing {__name__=\"size\"}";
        for (expr, series, expected) in [
            ("avail < 1", &[(AVAIL, &[2, 1, 0][..])][..], "false"),
            ("avail / size < 1", &[(AVAIL, &[1, 0]), (SIZE, &[0])], "false"),
            ("avail / size < 1", &[(AVAIL, &[1, 0]), (SIZE, &[7, 6])], missing),
            ("avail / size < 1", &[(AVAIL, &[1, 0])], missing),
            ("avail < 1 unless size", &[(AVAIL, &[0])], "false"),
            ("avail < 1 or size < 1", &[(AVAIL, &[0])], "false"),
            ("size < 1 or avail < 1", &[(AVAIL, &[0])], "false"),
            ("absent(size)", &[], "false"),
            ("avail offset 1h < 1", &[], "false"),
            ("predict_linear(avail[1h], 60) < 0", &[(AVAIL, &[50, 6])], "missing {__name__=\"avail\"}"),
            ("predict_linear(avail[1h], 60) < 0", &[(AVAIL, &[50, 0])], "false"),
            ("rate(avail[5m]) > 1", &[(AVAIL, &[50, 0])], "refilling {__name__=\"avail\"}"),
            ("rate(avail[5m]) > 1", &[(AVAIL, &[1, 0])], "false"),
        ] {
            assert_eq!(judged(expr, series), expected, "{expr} over {series:?}");
        }
    }

    #[test]
    fn a_stale_marker_is_an_end_and_explains_a_silence() {
        let ended = "ended avail{instance=\"web-1\", mountpoint=\"/srv\"}";
        assert_eq!(judged("avail < 1", &[(AVAIL, &[2, -1])]), ended);
        assert_eq!(judged("avail / size < 1", &[(AVAIL, &[2, -1]), (SIZE, &[9])]), ended);
        assert_eq!(judged("sum by (instance) (avail) < 1", &[(AVAIL, &[2, -1])]), ended);
        // Mounted again since.
        assert_eq!(judged("avail < 1", &[(AVAIL, &[3, -2, 0])]), "false");
    }

    #[test]
    fn what_ended_with_its_hosts_up_was_stopped_and_is_not_over() {
        let stopped = "stopped avail{instance=\"web-1\", mountpoint=\"/srv\"}";
        let (up, other_up) = ("up{instance=\"web-1\"}", "up{instance=\"web-2\"}");
        assert_eq!(judged("avail < 1", &[(AVAIL, &[2, -1]), (up, &[2, -1])]), stopped);
        // The agent is back, and has not read this yet.
        assert_eq!(judged("avail < 1", &[(AVAIL, &[3, -2]), (up, &[3, -2, 0])]), stopped);
        // It is back, and says itself that this is gone; another host's stop says nothing; and of several one is enough.
        for (series, expected) in [
            (
                &[(AVAIL, &[4, -3, -2][..]), (up, &[4, -3, 2, 0])],
                "ended avail{instance=\"web-1\", mountpoint=\"/srv\"}",
            ),
            (&[(AVAIL, &[2, -1]), (other_up, &[2, -1])], "ended avail{instance=\"web-1\", mountpoint=\"/srv\"}"),
        ] {
            assert_eq!(judged("avail < 1", series), expected, "{series:?}");
        }
        let cores = [("x{cpu=\"0\"}", &[9, -8][..]), ("x{cpu=\"1\"}", &[2, -1]), (up, &[2, -1])];
        assert_eq!(judged("sum by (instance) (x) < 1", &cores), "stopped x{cpu=\"1\"}");
        assert_eq!(judged("up == 1", &[(up, &[2, -1])]), "stopped up{instance=\"web-1\"}");
    }

    #[test]
    fn other_series_say_nothing_of_these_labels() {
        let other = "avail{instance=\"web-1\", mountpoint=\"/home\"}";
        let seen = judged("avail < 1", &[(other, &[0]), (AVAIL, &[2, -1])]);
        assert!(seen.starts_with("ended") && seen.contains("/srv"), "{seen}");
        // Summed over what the alert does not name, one that is there is enough.
        assert_eq!(judged("sum by (instance) (x) < 1", &[("x{cpu=\"0\"}", &[-1]), ("x{cpu=\"1\"}", &[0])]), "false");
    }
}
