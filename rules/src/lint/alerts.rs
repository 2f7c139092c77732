//! Lints that look at one alert: `alert-without-for` and `value-in-label`.

use crate::load::Checker;
use crate::template::Template;
use crate::yaml::{Kind, Node};

/// An alert that fires at the first result: `for: 0s` says that it is meant.
pub(super) fn without_for(check: &mut Checker<'_>, rule: &Node) {
    if rule.get("for").is_some() {
        return;
    }
    if let Some(name) = rule.get("alert") {
        let message = "this fires at the first result, however short: nothing asks for how long";
        check.fault(name, message).hint("add for: 5m; or for: 0s where one result is enough");
    }
}

/// A label with the value in it: each new value is another alert, and `for` begins anew.
pub(super) fn value_in_label(check: &mut Checker<'_>, rule: &Node) {
    let Some(Kind::Map(labels)) = rule.get("labels").map(|node| &node.kind) else { return };
    for (key, node) in labels {
        let template = node.scalar().and_then(|text| Template::parse(text).ok());
        let Some((at, length)) = template.and_then(|template| template.shows_value()) else { continue };
        let label = key.scalar().unwrap_or_default();
        let message = format!("the label '{label}' has the value in it: with each new value it is another alert");
        check.fault_in(node, at, length, message).hint("show it in an annotation");
    }
}
