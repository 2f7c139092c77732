//! JSON Schemas of what authors write, for editors to complete and check by. The loader remains the judge: it knows names
//! across files, selectors and templates, which a schema does not.

use serde_json::Value;

/// The kinds that have a schema.
pub const KINDS: [&str; 4] = ["rules", "runbook", "tests", "settings"];

/// The JSON Schema (2020-12) of a kind of file; none for a word that is not among [`KINDS`].
pub fn schema(kind: &str) -> Option<Value> {
    let text = match kind {
        "rules" => include_str!("../schema/rules.json"),
        "runbook" => include_str!("../schema/runbook.json"),
        "tests" => include_str!("../schema/tests.json"),
        "settings" => include_str!("../schema/settings.json"),
        _ => return None,
    };
    Some(serde_json::from_str(text).expect("an embedded schema is JSON"))
}

#[cfg(test)]
mod tests;
