//! Lints that look at one expression: `short-range` and `unknown-metric`.

use std::collections::BTreeSet;

use crate::duration;
use crate::load::Checker;
use crate::near::near;
use crate::promql::ast::{Expr, ExprKind, Span};
use crate::promql::labels::NAME;
use crate::selector::MatchOp;
use crate::yaml::Node;

/// Functions that need two samples in their range at least.
const OF_TWO_SAMPLES: [&str; 8] = ["delta", "deriv", "idelta", "increase", "irate", "predict_linear", "rate", "resets"];

/// `interval`: ms between samples.
pub(super) fn short_range(check: &mut Checker<'_>, node: &Node, expr: &Expr, interval: i64) {
    expr.walk(&mut |part| {
        let ExprKind::Call { function, args } = &part.kind else { return };
        let range = args.iter().find_map(|arg| match arg.kind {
            ExprKind::Matrix { range, .. } => Some((range, arg.span)),
            _ => None,
        });
        let Some((range, span)) =
            range.filter(|(range, _)| OF_TWO_SAMPLES.contains(&function.name) && *range < 4 * interval)
        else {
            return;
        };
        let (shown, every) = (duration::format(range), duration::format(interval));
        let message = match range < 2 * interval {
            true => format!(
                "{}() needs two samples, and [{shown}] holds one of those that come every {every}",
                function.name
            ),
            false => format!(
                "[{shown}] is short for samples every {every}: a few lost ones leave {}() nothing",
                function.name
            ),
        };
        let wider = duration::format(4 * interval);
        told(check, node, span, message)
            .hint(format!("take [{wider}] or more; --interval says how far samples are apart"));
    });
}

/// The names of metrics that may be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Metrics {
    /// Those that hosts report, and no others.
    Reported(BTreeSet<String>),
    /// Those of our agent, and whatever exporters bring: only what is nearly one of the agent's is doubted.
    OfAgent,
}

impl Metrics {
    /// Why a metric is doubted, and what is near; none where it is not.
    fn doubt(&self, name: &str, recorded: &BTreeSet<String>) -> Option<(&'static str, Option<String>)> {
        let made = ["ALERTS", "ALERTS_FOR_STATE"];
        if made.contains(&name) || recorded.contains(name) {
            return None;
        }
        match self {
            Self::Reported(names) if names.contains(name) => None,
            Self::Reported(names) => {
                let near = near(name, names.iter().chain(recorded).map(String::as_str));
                Some(("no host reports", near))
            }
            Self::OfAgent if of_agent().any(|known| known == name) => None,
            // What is shorter than this is near to anything.
            Self::OfAgent if name.len() < 8 => None,
            Self::OfAgent => near(name, of_agent()).map(|near| ("the agent has no metric", Some(near))),
        }
    }
}

/// Every metric that the agent may report.
pub fn of_agent() -> impl Iterator<Item = &'static str> {
    include_str!("agent-metrics.txt").lines().filter(|line| !line.starts_with('#'))
}

pub(super) fn unknown_metric(
    check: &mut Checker<'_>,
    node: &Node,
    expr: &Expr,
    metrics: &Metrics,
    recorded: &BTreeSet<String>,
) {
    expr.walk(&mut |part| {
        let (ExprKind::Vector(selector) | ExprKind::Matrix { selector, .. }) = &part.kind else { return };
        let named = selector.matchers.matchers.iter().find(|one| one.label == NAME && one.op == MatchOp::Equal);
        let Some(name) = named.map(|matcher| matcher.value.as_str()) else { return };
        let Some((why, near)) = metrics.doubt(name, recorded) else { return };
        let span = Span { from: part.span.from, to: part.span.from + name.len() };
        told(check, node, span, format!("{why} '{name}'")).near(near);
    });
}

fn told<'c>(check: &'c mut Checker<'_>, node: &Node, span: Span, message: String) -> &'c mut crate::Fault {
    check.fault_in(node, span.from, span.to.saturating_sub(span.from), message)
}
