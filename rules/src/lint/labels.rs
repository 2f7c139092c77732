//! `label-never-set`: labels that a rule names and no result of its expression carries.
//!
//! Which labels a series has only the series knows; but `by`, `on`, `absent` and their like say which are left. The rules
//! are those of Prometheus's documentation, "Vector matching" and "Aggregation operators".

use std::collections::BTreeSet;

use crate::load::Checker;
use crate::near::near;
use crate::promql::ast::{AggregateOp, Binary, BinaryOp, Card, Expr, ExprKind, Grouping, ValueType, VectorSelector};
use crate::promql::labels::NAME;
use crate::selector::MatchOp;
use crate::template::Template;
use crate::yaml::{Kind, Node};

/// The labels that elements of a result may carry, but for the metric's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Carried {
    /// These at most.
    Only(BTreeSet<String>),
    /// Any but these.
    Except(BTreeSet<String>),
}

impl Carried {
    /// What the results of an expression may carry.
    pub fn by(expr: &Expr) -> Self {
        match &expr.kind {
            ExprKind::Number(_) | ExprKind::Duration(_) | ExprKind::String(_) => Self::none(),
            ExprKind::Vector(selector) | ExprKind::Matrix { selector, .. } => Self::selected(selector),
            ExprKind::Subquery { expr, .. } | ExprKind::Negate(expr) | ExprKind::Plus(expr) | ExprKind::Paren(expr) => {
                Self::by(expr)
            }
            ExprKind::Call { function, args } => Self::called(function.name, args),
            ExprKind::Aggregate { op, param, expr, grouping } => {
                let inner = Self::by(expr);
                match (op, param.as_deref().and_then(text)) {
                    (AggregateOp::Topk | AggregateOp::Bottomk | AggregateOp::Limitk | AggregateOp::LimitRatio, _) => {
                        inner
                    }
                    (AggregateOp::CountValues, Some(label)) => inner.grouped(grouping).with(label),
                    _ => inner.grouped(grouping),
                }
            }
            ExprKind::Binary(binary) => Self::combined(binary),
        }
    }

    pub fn has(&self, label: &str) -> bool {
        match self {
            Self::Only(labels) => labels.contains(label),
            Self::Except(labels) => !labels.contains(label),
        }
    }

    fn none() -> Self {
        Self::Only(BTreeSet::new())
    }

    fn any() -> Self {
        Self::Except(BTreeSet::new())
    }

    /// A matcher that wants the empty text is met only by series without the label.
    fn selected(selector: &VectorSelector) -> Self {
        let empty = selector
            .matchers
            .matchers
            .iter()
            .filter(|matcher| matcher.op == MatchOp::Equal && matcher.value.is_empty());
        Self::Except(empty.map(|matcher| matcher.label.clone()).collect())
    }

    fn called(name: &str, args: &[Expr]) -> Self {
        let of = |place: usize| args.get(place).map_or(Self::none(), Self::by);
        match name {
            "absent" | "absent_over_time" => args.first().map_or(Self::none(), Self::absent),
            "scalar" | "vector" | "time" | "pi" => Self::none(),
            "label_replace" | "label_join" => match args.get(1).and_then(text) {
                Some(label) => of(0).with(label),
                None => Self::any(),
            },
            "histogram_quantile" | "histogram_fraction" => args
                .iter()
                .find(|arg| arg.value_type() == ValueType::Vector)
                .map_or(Self::any(), Self::by)
                .without("le"),
            "info" => Self::any(),
            // A function of time without an argument has none, either.
            _ => {
                let vector = args.iter().find(|arg| matches!(arg.value_type(), ValueType::Vector | ValueType::Matrix));
                vector.map_or(Self::none(), Self::by)
            }
        }
    }

    /// Labels of equality matchers that stand once.
    fn absent(arg: &Expr) -> Self {
        let (ExprKind::Vector(selector) | ExprKind::Matrix { selector, .. }) = &arg.kind else {
            return match &arg.kind {
                ExprKind::Paren(inner) => Self::absent(inner),
                _ => Self::none(),
            };
        };
        let matchers = &selector.matchers.matchers;
        let once = |label: &str| matchers.iter().filter(|other| other.label == label).count() == 1;
        let told = matchers.iter().filter(|one| one.op == MatchOp::Equal && one.label != NAME && once(&one.label));
        Self::Only(told.map(|one| one.label.clone()).collect())
    }

    fn combined(binary: &Binary) -> Self {
        let (lhs, rhs) = (Self::by(&binary.lhs), Self::by(&binary.rhs));
        let scalar = |expr: &Expr| expr.value_type() == ValueType::Scalar;
        match binary.op {
            BinaryOp::And | BinaryOp::Unless => return lhs,
            BinaryOp::Or => return lhs.or(rhs),
            _ if scalar(&binary.rhs) => return lhs,
            _ if scalar(&binary.lhs) => return rhs,
            _ => {}
        }
        let (many, one) = match binary.matching.card {
            Card::OneToOne => return lhs.grouped(&binary.matching.grouping),
            Card::ManyToOne => (lhs, rhs),
            Card::OneToMany => (rhs, lhs),
        };
        // What is copied replaces what the many side has, and takes it away where the one side has it not.
        binary.matching.include.iter().fold(many, |found, label| match one.has(label) {
            true => found.with(label),
            false => found.without(label),
        })
    }

    fn grouped(self, grouping: &Grouping) -> Self {
        match grouping {
            Grouping::Only(labels) => Self::Only(labels.iter().filter(|label| self.has(label)).cloned().collect()),
            Grouping::Except(labels) => labels.iter().fold(self, |found, label| found.without(label)),
        }
    }

    fn with(mut self, label: &str) -> Self {
        match &mut self {
            Self::Only(labels) => labels.insert(label.to_owned()),
            Self::Except(labels) => labels.remove(label),
        };
        self
    }

    fn without(mut self, label: &str) -> Self {
        match &mut self {
            Self::Only(labels) => labels.remove(label),
            Self::Except(labels) => labels.insert(label.to_owned()),
        };
        self
    }

    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Only(one), Self::Only(two)) => Self::Only(one.union(&two).cloned().collect()),
            (Self::Except(one), Self::Except(two)) => Self::Except(one.intersection(&two).cloned().collect()),
            (Self::Only(only), Self::Except(except)) | (Self::Except(except), Self::Only(only)) => {
                Self::Except(except.difference(&only).cloned().collect())
            }
        }
    }
}

/// The text of a literal.
fn text(expr: &Expr) -> Option<&str> {
    match &expr.kind {
        ExprKind::String(text) => Some(text),
        ExprKind::Paren(inner) => text(inner),
        _ => None,
    }
}

/// Looks at the templates of labels and annotations, which see the result's labels, and at `incident` and `runbook`, which
/// see the alert's: the rule's own labels and `alertname` beside them.
pub(super) fn never_set(check: &mut Checker<'_>, rule: &Node, expr: &Expr, group_labels: Option<&Node>) {
    let of_result = Carried::by(expr).with(NAME);
    let own = [rule.get("labels"), group_labels].into_iter().flatten().flat_map(names).chain(["alertname"]);
    let of_alert = own.fold(of_result.clone(), |found, label| found.with(label));
    for (key, value) in ["labels", "annotations"].iter().filter_map(|key| rule.get(key)).flat_map(entries) {
        in_template(check, key, value, &of_result);
    }
    let with = rule.get("runbook").and_then(|runbook| runbook.get("with"));
    for (key, value) in with.into_iter().flat_map(entries) {
        in_template(check, key, value, &of_alert);
    }
    let Some(incident) = rule.get("incident") else { return };
    if let Some(Kind::List(keys)) = incident.get("key").map(|node| &node.kind) {
        for node in keys {
            let name = node.scalar().unwrap_or_default();
            if !of_alert.has(name) {
                told(check, node, (0, name.len()), name, &of_alert);
            }
        }
    }
    for (_, node) in incident.get("ci").into_iter().flat_map(entries) {
        let bound = node.scalar().and_then(|text| text.strip_prefix("$labels."));
        if let Some(name) = bound.filter(|name| !of_alert.has(name)) {
            told(check, node, ("$labels.".len(), name.len()), name, &of_alert);
        }
    }
}

fn entries(node: &Node) -> &[(Node, Node)] {
    match &node.kind {
        Kind::Map(entries) => entries,
        _ => &[],
    }
}

fn names(node: &Node) -> impl Iterator<Item = &str> {
    entries(node).iter().filter_map(|(key, _)| key.scalar())
}

fn in_template(check: &mut Checker<'_>, key: &Node, node: &Node, carried: &Carried) {
    let Some(Ok(template)) = node.scalar().map(Template::parse) else { return };
    check.within(key.scalar().unwrap_or_default(), |check| {
        for (name, at) in template.labels() {
            if !carried.has(name) {
                told(check, node, (at, name.len()), name, carried);
            }
        }
    });
}

fn told(check: &mut Checker<'_>, node: &Node, (at, length): (usize, usize), name: &str, carried: &Carried) {
    let fault =
        check.fault_in(node, at, length, format!("no result of 'expr' has the label '{name}': it is empty here"));
    match carried {
        Carried::Except(_) => fault.hint("the expression takes it away"),
        Carried::Only(labels) => {
            let shown = labels.iter().map(String::as_str).filter(|label| !["alertname", NAME].contains(label));
            let shown: Vec<&str> = shown.collect();
            match (near(name, shown.iter().copied()), shown.is_empty()) {
                (Some(word), _) => fault.near(Some(word)),
                (None, true) => fault.hint("the expression leaves no labels; keep it by (…) or on (…)"),
                (None, false) => fault.hint(format!("the expression leaves {}", shown.join(", "))),
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::parse;

    /// `a b` for these at most, `* -a` for any but these.
    fn carried(text: &str) -> String {
        match Carried::by(&parse(text).expect(text)) {
            Carried::Only(labels) => labels.into_iter().collect::<Vec<_>>().join(" "),
            Carried::Except(labels) => {
                labels.into_iter().fold("*".to_owned(), |found, label| format!("{found} -{label}"))
            }
        }
    }

    #[test]
    fn what_is_left_of_labels_follows_from_the_expression() {
        let table = [
            ("up", "*"),
            ("up{zone=\"\"}", "* -zone"),
            ("up{zone=~\"\"}", "*"),
            ("sum(up)", ""),
            ("sum by (job) (up) > 1", "job"),
            ("sum without (cpu) (rate(x[5m]))", "* -cpu"),
            ("sum by (job, zone) (x{zone=\"\"})", "job"),
            ("topk by (job) (3, up)", "*"),
            ("count_values by (job) (\"version\", x)", "job version"),
            ("absent(up{job=\"a\",zone=~\"b\"})", "job"),
            ("absent(up{job=\"a\",job=\"b\",zone=\"c\"})", "zone"),
            ("absent(sum(up{job=\"a\"}))", ""),
            ("vector(1)", ""),
            ("time() - x", "*"),
            ("hour() > 8", ""),
            ("label_replace(sum by (job) (x), \"zone\", \"$1\", \"job\", \"(.*)\")", "job zone"),
            ("histogram_quantile(0.9, sum by (job, le) (rate(x[5m])))", "job"),
            ("a / on (job) b", "job"),
            ("a / ignoring (zone) b", "* -zone"),
            ("a > on (job) b", "job"),
            ("a / on (job) group_left b", "*"),
            ("sum by (job) (a) * on (job) group_left (zone) b", "job zone"),
            ("a * on (job) group_left (zone) sum by (job) (b)", "* -zone"),
            ("sum by (job) (a) and on () b", "job"),
            ("sum by (job) (a) or sum by (zone) (b)", "job zone"),
            ("sum by (job) (a) or b", "*"),
            ("a{zone=\"\"} or sum by (zone) (b)", "*"),
            ("max_over_time(sum by (job) (x)[1h:5m])", "job"),
        ];
        for (text, expected) in table {
            assert_eq!(carried(text), expected, "{text}");
        }
    }
}
