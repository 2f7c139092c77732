//! Whether a rule's result for one host depends on that host alone.

use std::collections::BTreeSet;

use super::rules::{Ready, Rule};
use crate::promql::ast::{Binary, BinaryOp, Card, Expr, ExprKind, Grouping, ValueType, VectorSelector};
use crate::promql::labels::NAME;
use crate::selector::MatchOp;

/// The label that names a host.
const INSTANCE: &str = "instance";

/// Over which series a rule must be evaluated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Each result carries an `instance` and depends on the series of that instance only.
    Host,
    /// All hosts are needed at once.
    Fleet { why: String },
}

/// Judges an expression whose series all carry `instance`.
pub fn analyse(expr: &Expr) -> Scope {
    scope(expr, &BTreeSet::new())
}

pub(super) fn scopes(rules: &[Ready]) -> Vec<Scope> {
    let mut across: BTreeSet<String> = BTreeSet::new();
    loop {
        let found: Vec<Scope> = rules.iter().map(|ready| of_rule(ready, &across)).collect();
        let recorded = rules
            .iter()
            .zip(&found)
            .filter(|(ready, scope)| matches!(ready.rule, Rule::Record(_)) && **scope != Scope::Host);
        let next: BTreeSet<String> = recorded.map(|(ready, _)| ready.rule.name().to_owned()).collect();
        // Each round adds a name or is the last, so there are at most as many rounds as rules.
        if next.is_subset(&across) {
            return found;
        }
        across.extend(next);
    }
}

fn of_rule(ready: &Ready, across: &BTreeSet<String>) -> Scope {
    match ready.rule.labels().contains_key(INSTANCE) {
        true => fleet("the rule sets the label 'instance' itself"),
        false => scope(&ready.expr, across),
    }
}

fn scope(expr: &Expr, across: &BTreeSet<String>) -> Scope {
    match (Looking { across }.reach(expr)) {
        Reach::Host => Scope::Host,
        Reach::Constant => fleet("its result belongs to no host"),
        Reach::Fleet(why) => Scope::Fleet { why },
    }
}

fn fleet(why: impl Into<String>) -> Scope {
    Scope::Fleet { why: why.into() }
}

/// What a part of an expression depends on.
#[derive(Debug, PartialEq)]
enum Reach {
    /// No series at all: a number, the time.
    Constant,
    /// Elements with an `instance`, each from the series of that instance.
    Host,
    Fleet(String),
}

struct Looking<'a> {
    /// Metrics that rules across hosts record.
    across: &'a BTreeSet<String>,
}

impl Looking<'_> {
    fn reach(&self, expr: &Expr) -> Reach {
        match &expr.kind {
            ExprKind::Number(_) | ExprKind::String(_) => Reach::Constant,
            ExprKind::Vector(selector) | ExprKind::Matrix { selector, .. } => self.selector(selector),
            ExprKind::Subquery { expr, .. } | ExprKind::Negate(expr) | ExprKind::Paren(expr) => self.reach(expr),
            ExprKind::Call { function, args } => self.call(function.name, args),
            ExprKind::Aggregate { op, param, expr, grouping } => {
                let param = param.as_ref().map_or(Reach::Constant, |param| self.reach(param));
                match (self.reach(expr), param) {
                    (Reach::Fleet(why), _) | (_, Reach::Fleet(why)) => Reach::Fleet(why),
                    (Reach::Constant, Reach::Constant) => Reach::Constant,
                    _ if keeps_instance(grouping) => Reach::Host,
                    _ => Reach::Fleet(format!(
                        "'{}' puts hosts together; group by (instance) to keep them apart",
                        op.as_str()
                    )),
                }
            }
            ExprKind::Binary(binary) => self.binary(binary),
        }
    }

    fn selector(&self, selector: &VectorSelector) -> Reach {
        let name =
            selector.matchers.matchers.iter().find(|matcher| matcher.label == NAME && matcher.op == MatchOp::Equal);
        match name.filter(|name| self.across.contains(&name.value)) {
            Some(name) => Reach::Fleet(format!("'{}' is recorded by a rule across hosts", name.value)),
            None => Reach::Host,
        }
    }

    fn call(&self, name: &str, args: &[Expr]) -> Reach {
        let mut found = Reach::Constant;
        for arg in args {
            match self.reach(arg) {
                Reach::Fleet(why) => return Reach::Fleet(why),
                Reach::Host => found = Reach::Host,
                Reach::Constant => {}
            }
        }
        let writes_instance =
            matches!(args.get(1).map(|arg| &arg.kind), Some(ExprKind::String(label)) if label == INSTANCE);
        match name {
            "absent" | "absent_over_time" | "scalar" if found == Reach::Host => {
                Reach::Fleet(format!("{name}() looks at all hosts at once"))
            }
            "label_replace" | "label_join" if writes_instance => {
                Reach::Fleet(format!("{name}() sets the label 'instance'"))
            }
            _ => found,
        }
    }

    fn binary(&self, binary: &Binary) -> Reach {
        let sides = (self.reach(&binary.lhs), self.reach(&binary.rhs));
        let is_scalar = |expr: &Expr| expr.value_type() == ValueType::Scalar;
        match sides {
            (Reach::Fleet(why), _) | (_, Reach::Fleet(why)) => Reach::Fleet(why),
            (Reach::Constant, Reach::Constant) => Reach::Constant,
            (Reach::Host, Reach::Constant) if is_scalar(&binary.rhs) => Reach::Host,
            (Reach::Constant, Reach::Host) if is_scalar(&binary.lhs) => Reach::Host,
            // `… and on () hour() > 8`
            (Reach::Host, Reach::Constant) if matches!(binary.op, BinaryOp::And | BinaryOp::Unless) => Reach::Host,
            (Reach::Host, Reach::Constant) if binary.matching.card == Card::ManyToOne => Reach::Host,
            (Reach::Constant, Reach::Host) if binary.matching.card == Card::OneToMany => Reach::Host,
            (Reach::Host, Reach::Host) if binary.matching.include.iter().any(|label| label == INSTANCE) => {
                Reach::Fleet("the grouping copies 'instance' from the other side".to_owned())
            }
            (Reach::Host, Reach::Host) if keeps_instance(&binary.matching.grouping) => Reach::Host,
            _ => Reach::Fleet(format!("'{}' matches series of different hosts", binary.op.as_str())),
        }
    }
}

fn keeps_instance(grouping: &Grouping) -> bool {
    let names = |labels: &[String]| labels.iter().any(|label| label == INSTANCE);
    match grouping {
        Grouping::Only(labels) => names(labels),
        Grouping::Except(labels) => !names(labels),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::promql::parse;

    #[test]
    fn one_host_suffices_where_instance_stays() {
        let host = [
            "up == 0",
            "node_filesystem_avail_bytes / node_filesystem_size_bytes < 0.1",
            "a < 0.1 and predict_linear(a[1h], 4 * 3600) < 0",
            "1 - avg by (instance) (rate(node_cpu_seconds_total{mode=\"idle\"}[1m]))",
            "sum without (cpu) (x) > 3",
            "a * on (instance) group_left (nodename) b",
            "a and on () (hour() > 8)",
            "time() - node_boot_time_seconds < 600",
            "max_over_time((sum by (instance) (x))[1h:5m]) > 1",
            "histogram_quantile(0.9, rate(x_bucket[5m])) > 1",
            "a unless on (instance) b",
            "a or b",
            "a * on () group_left () vector(2)",
        ];
        for text in host {
            assert_eq!(analyse(&parse(text).expect(text)), Scope::Host, "{text}");
        }
        let fleet = [
            ("vector(1)", "no host"),
            ("sum(up)", "'sum' puts hosts together"),
            ("count by (job) (up == 0) > 3", "'count' puts hosts together"),
            ("sum without (instance) (x)", "'sum'"),
            ("absent(up)", "absent()"),
            ("a > scalar(b)", "scalar()"),
            ("a / on (job) b", "different hosts"),
            ("a * on (job) group_left (instance) b", "copies 'instance'"),
            ("a or vector(0)", "different hosts"),
            ("label_replace(up, \"instance\", \"x\", \"\", \"\")", "sets the label"),
            ("a and on () (b > 1)", "different hosts"),
        ];
        for (text, part) in fleet {
            match analyse(&parse(text).expect(text)) {
                Scope::Fleet { why } => assert!(why.contains(part), "{text}: {why}"),
                Scope::Host => panic!("{text} is no rule of one host"),
            }
        }
    }
}
