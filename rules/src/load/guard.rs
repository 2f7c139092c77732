//! `guard:` of a runbook. A guard that is not kept yet is refused: to read past one would let a run do what its author
//! forbade.

use super::{Checker, keys};
use crate::duration;
use crate::jinja::Names;
use crate::model::{Approval, Guard};
use crate::yaml::Node;

const NOT_KEPT: &str = "this guard is not kept yet, and a run without it would do what you mean to forbid; leave it out \
                        and guard by approval, max_per_host or concurrency.host";
const LATER: [(&str, &str); 3] = [("blast_radius", NOT_KEPT), ("windows", NOT_KEPT), ("redundancy", NOT_KEPT)];

/// How long an approval is waited for where `within` does not say.
const APPROVAL_WITHIN_DEFAULT: i64 = 60 * 60_000;

pub(super) fn guard(check: &mut Checker<'_>, node: &Node, names: &Names) -> Guard {
    check.within("guard", |check| {
        let fields = check.fields_among(node, "a guard", &keys::GUARD, &LATER);
        Guard {
            approval: fields.get("approval").and_then(|node| approval(check, node, names)),
            max_per_host: fields.get("max_per_host").and_then(|node| rate(check, node)),
            concurrency_host: fields.get("concurrency").and_then(|node| concurrency(check, node)),
            cooldown_after_failure: fields.get("cooldown_after_failure").and_then(|node| check.duration(node)),
        }
    })
}

fn concurrency(check: &mut Checker<'_>, node: &Node) -> Option<u32> {
    check.within("concurrency", |check| {
        let fields = check.fields_among(node, "concurrency", &["host"], &[("service", NOT_KEPT)]);
        fields.get("host").and_then(|node| check.whole(node, 1, 100))
    })
}

fn approval(check: &mut Checker<'_>, node: &Node, names: &Names) -> Option<Approval> {
    check.within("approval", |check| {
        let fields = check.fields(node, "an approval", &["when", "by", "within"]);
        let when = match fields.get("when") {
            Some(node) => check.jinja_expression(node, names),
            None => Some("true".to_owned()),
        };
        let by = fields.required(check, "by", "an approval").and_then(|node| by(check, node));
        let within = fields.get("within").and_then(|node| check.positive_duration(node));
        Some(Approval { when: when?, by: by?, within: within.unwrap_or(APPROVAL_WITHIN_DEFAULT) })
    })
}

/// `group(NAME)`
fn by(check: &mut Checker<'_>, node: &Node) -> Option<String> {
    let text = check.text(node)?;
    let group = text.strip_prefix("group(").and_then(|rest| rest.strip_suffix(')')).map(str::trim);
    if group.is_none_or(str::is_empty) {
        check.fault(node, format!("'{text}' names nobody who can approve; write group(NAME)"));
        return None;
    }
    Some(text)
}

/// `3/h`: so many in so long. The unit is one of Prometheus's, or a whole duration (`3/30m`).
fn rate(check: &mut Checker<'_>, node: &Node) -> Option<(u32, i64)> {
    let text = check.text(node)?;
    let read = |(count, per): (&str, &str)| {
        let per = if per.starts_with(|c: char| c.is_ascii_digit()) { per.to_owned() } else { format!("1{per}") };
        let count = count.trim().parse::<u32>().ok().filter(|count| *count > 0)?;
        duration::parse(&per).ok().filter(|ms| *ms > 0).map(|ms| (count, ms))
    };
    let found = text.split_once('/').and_then(read);
    if found.is_none() {
        check.fault(node, format!("'{text}' is no rate; write for example 3/h"));
    }
    found
}
