//! Whether a rule's result for one host depends on that host alone.

use super::rules::{Ready, Rule};
use crate::promql::ast::{Binary, BinaryOp, Card, Expr, ExprKind, Grouping, Span, ValueType, VectorSelector};
use crate::promql::labels::{Labels, NAME};

/// The label that names a host.
const INSTANCE: &str = "instance";

/// Over which series a rule must be evaluated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Each result carries an `instance` and depends on the series of that instance only.
    Host,
    /// All hosts are needed at once.
    Fleet(Across),
}

/// What makes a rule look across hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Across {
    pub why: String,
    /// What would make it a rule of one host, where that could be meant.
    pub help: Option<String>,
    /// The part of the expression that does it.
    pub part: Span,
}

/// Judges an expression whose series all carry `instance`.
pub fn analyse(expr: &Expr) -> Scope {
    scope(expr, &[])
}

/// A rule that reads what a rule across hosts writes is one itself, whichever stands first.
pub(super) fn scopes(rules: &[Ready]) -> Vec<Scope> {
    let mut across: Vec<Labels> = Vec::new();
    loop {
        let found: Vec<Scope> = rules.iter().map(|ready| of_rule(ready, &across)).collect();
        let of_fleet = rules.iter().zip(&found).filter(|(_, scope)| **scope != Scope::Host);
        let next: Vec<Labels> = of_fleet.flat_map(|(ready, _)| written_by(&ready.rule)).collect();
        // Each round adds a series or is the last, so there are at most as many rounds as rules.
        if next.len() <= across.len() {
            return found;
        }
        across = next;
    }
}

/// What is known of the labels of the series that a rule writes.
fn written_by(rule: &Rule) -> Vec<Labels> {
    match rule {
        Rule::Record(record) => vec![Labels::new([(NAME, record.name.as_str())])],
        Rule::Alert(alert) => {
            let of = |name| Labels::new([(NAME, name), ("alertname", alert.name.as_str())]);
            vec![of("ALERTS"), of("ALERTS_FOR_STATE")]
        }
    }
}

fn of_rule(ready: &Ready, across: &[Labels]) -> Scope {
    if let Some(label) = ready.labels.first_asking() {
        return Scope::Fleet(Across {
            why: format!("the template of its label '{label}' asks for samples, which may be of any host"),
            help: Some("ask in an annotation: there it is done only once an alert fires".to_owned()),
            part: ready.expr.span,
        });
    }
    match ready.rule.labels().contains_key(INSTANCE) {
        true => Scope::Fleet(Across {
            why: "the rule sets the label 'instance' itself".to_owned(),
            help: Some("leave 'instance' to the series that it reads".to_owned()),
            part: ready.expr.span,
        }),
        false => scope(&ready.expr, across),
    }
}

fn scope(expr: &Expr, across: &[Labels]) -> Scope {
    match (Looking { across }.reach(expr)) {
        Reach::Host => Scope::Host,
        Reach::Constant => Scope::Fleet(Across {
            why: "its result belongs to no host".to_owned(),
            help: Some("compare it with a series of the host, as in up and on () (…)".to_owned()),
            part: expr.span,
        }),
        Reach::Fleet(across) => Scope::Fleet(across),
    }
}

/// What a part of an expression depends on.
#[derive(Debug, PartialEq)]
enum Reach {
    /// No series at all: a number, the time.
    Constant,
    /// Elements with an `instance`, each from the series of that instance.
    Host,
    Fleet(Across),
}

fn fleet(part: Span, why: impl Into<String>, help: impl Into<String>) -> Reach {
    Reach::Fleet(Across { why: why.into(), help: Some(help.into()), part })
}

struct Looking<'a> {
    /// What rules across hosts write.
    across: &'a [Labels],
}

impl Looking<'_> {
    fn reach(&self, expr: &Expr) -> Reach {
        match &expr.kind {
            ExprKind::Number(_) | ExprKind::Duration(_) | ExprKind::String(_) => Reach::Constant,
            ExprKind::Vector(selector) | ExprKind::Matrix { selector, .. } => self.selector(expr.span, selector),
            ExprKind::Subquery { expr, .. } | ExprKind::Negate(expr) | ExprKind::Plus(expr) | ExprKind::Paren(expr) => {
                self.reach(expr)
            }
            ExprKind::Call { function, args } => self.call(expr.span, function.name, args),
            ExprKind::Aggregate { op, param, expr: inner, grouping } => {
                let of_param = param.as_ref().map_or(Reach::Constant, |param| self.reach(param));
                let writes_instance = param.as_deref().is_some_and(|param| text(param) == Some(INSTANCE));
                match (self.reach(inner), of_param) {
                    (Reach::Fleet(why), _) | (_, Reach::Fleet(why)) => Reach::Fleet(why),
                    (Reach::Constant, Reach::Constant) => Reach::Constant,
                    _ if writes_instance => writes(expr.span, op.as_str()),
                    _ if keeps_instance(grouping) => Reach::Host,
                    _ => fleet(expr.span, format!("'{}' puts hosts together", op.as_str()), keep(grouping)),
                }
            }
            ExprKind::Binary(binary) => self.binary(expr.span, binary),
        }
    }

    fn selector(&self, span: Span, selector: &VectorSelector) -> Reach {
        let takes = |series: &Labels| {
            let known = selector.matchers.matchers.iter().filter(|matcher| series.get(&matcher.label).is_some());
            let known = crate::selector::Selector { matchers: known.cloned().collect() };
            known.matches_by(|label| series.get(label))
        };
        match self.across.iter().find(|series| takes(series)).and_then(|series| series.get(NAME)) {
            Some(name) => {
                let why = match name {
                    "ALERTS" | "ALERTS_FOR_STATE" => format!("'{name}' is written by alerts across hosts, too"),
                    name => format!("'{name}' is recorded by a rule across hosts"),
                };
                Reach::Fleet(Across { why, help: None, part: span })
            }
            None => Reach::Host,
        }
    }

    fn call(&self, span: Span, name: &str, args: &[Expr]) -> Reach {
        let mut found = Reach::Constant;
        for arg in args {
            match self.reach(arg) {
                Reach::Fleet(why) => return Reach::Fleet(why),
                Reach::Host => found = Reach::Host,
                Reach::Constant => {}
            }
        }
        match name {
            "absent" | "absent_over_time" if found == Reach::Host => {
                let help = "silence of one host is seen by up == 0 and by an alert that goes stale";
                fleet(span, format!("{name}() looks at all hosts at once"), help)
            }
            "scalar" if found == Reach::Host => {
                let help = "leave scalar() out and match with on (instance)";
                fleet(span, "scalar() looks at all hosts at once", help)
            }
            "label_replace" | "label_join" if args.get(1).and_then(text) == Some(INSTANCE) => {
                writes(span, &format!("{name}()"))
            }
            _ => found,
        }
    }

    fn binary(&self, span: Span, binary: &Binary) -> Reach {
        let sides = (self.reach(&binary.lhs), self.reach(&binary.rhs));
        let is_scalar = |expr: &Expr| expr.value_type() == ValueType::Scalar;
        let copies_instance = binary.matching.include.iter().any(|label| label == INSTANCE);
        match sides {
            (Reach::Fleet(why), _) | (_, Reach::Fleet(why)) => Reach::Fleet(why),
            (Reach::Constant, Reach::Constant) => Reach::Constant,
            (Reach::Host, Reach::Constant) if is_scalar(&binary.rhs) => Reach::Host,
            (Reach::Constant, Reach::Host) if is_scalar(&binary.lhs) => Reach::Host,
            // `… and on () hour() > 8`
            (Reach::Host, Reach::Constant) if matches!(binary.op, BinaryOp::And | BinaryOp::Unless) => Reach::Host,
            _ if copies_instance => {
                let help = "leave 'instance' out of the group's labels and match on it";
                fleet(span, "the grouping copies 'instance' from the other side", help)
            }
            (Reach::Host, Reach::Constant) if binary.matching.card == Card::ManyToOne => Reach::Host,
            (Reach::Constant, Reach::Host) if binary.matching.card == Card::OneToMany => Reach::Host,
            (Reach::Host, Reach::Host) if keeps_instance(&binary.matching.grouping) => Reach::Host,
            (Reach::Host, Reach::Host) => {
                let help = match &binary.matching.grouping {
                    Grouping::Only(_) => "add 'instance' to on (…)",
                    Grouping::Except(_) => "take 'instance' out of ignoring (…)",
                };
                fleet(span, format!("'{}' matches series of different hosts", binary.op.as_str()), help)
            }
            _ => fleet(
                span,
                format!("one side of '{}' belongs to no host", binary.op.as_str()),
                "use series of the host on both sides, or a number without vector()",
            ),
        }
    }
}

fn writes(span: Span, what: &str) -> Reach {
    fleet(span, format!("{what} sets the label 'instance'"), "set a label of another name")
}

/// The text of a literal.
fn text(expr: &Expr) -> Option<&str> {
    match &expr.kind {
        ExprKind::String(text) => Some(text),
        ExprKind::Paren(inner) => text(inner),
        _ => None,
    }
}

/// How an aggregation would leave hosts apart.
fn keep(grouping: &Grouping) -> String {
    match grouping {
        Grouping::Only(labels) => format!(
            "group by ({}) to keep hosts apart",
            [labels.as_slice(), &[INSTANCE.to_owned()]].concat().join(", ")
        ),
        Grouping::Except(_) => "take 'instance' out of without (…) to keep hosts apart".to_owned(),
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
            "x{instance=\"web-1\"} > 1",
            "topk by (instance) (3, x)",
            "count_values without (cpu) (\"v\", x)",
            "label_replace(up, \"host\", \"$1\", \"instance\", \"(.*)\") == 0",
            "a + ignoring (device) group_right b",
            "a > time() - 600",
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
            ("a or vector(0)", "belongs to no host"),
            ("label_replace(up, \"instance\", \"x\", \"\", \"\")", "sets the label"),
            ("a and on () (b > 1)", "different hosts"),
            ("a * ignoring (instance) b", "different hosts"),
            ("a * on () group_left (instance) vector(2)", "copies 'instance'"),
            ("label_replace(up, (\"instance\"), \"x\", \"\", \"\")", "sets the label"),
            ("label_join(up, \"instance\", \"-\", \"job\", \"zone\")", "sets the label"),
            ("count_values by (instance) (\"instance\", x)", "sets the label"),
            ("absent(up{instance=\"web-1\"})", "absent()"),
            ("sum(up{instance=\"web-1\"})", "'sum'"),
            ("max_over_time(sum(x)[1h:5m]) > 1", "'sum'"),
            ("topk(3, x)", "'topk'"),
            ("x > vector(3)", "belongs to no host"),
            ("a and on (instance) absent(b)", "absent()"),
        ];
        for (text, part) in fleet {
            match analyse(&parse(text).expect(text)) {
                Scope::Fleet(across) => assert!(across.why.contains(part), "{text}: {}", across.why),
                Scope::Host => panic!("{text} is no rule of one host"),
            }
        }
    }
}
