//! What was found as a table for people, for `watchkeep-agent inventory`.

use std::fmt::Write as _;

use watchkeep_protocol::inventory::Item;

/// Columns are never wider, but for the last.
const WIDTH_MAX: usize = 48;

/// One line an item: class, key, and its attributes and relations.
pub fn table(sections: &[(&'static str, Vec<Item>)]) -> String {
    let mut out = format!("{:<20}  {:<WIDTH_MAX$}  ATTRIBUTES\n", "CLASS", "KEY");
    for found in sections.iter().flat_map(|(_, items)| items) {
        let attributes = found.attributes.iter().map(|(name, value)| format!("{name}={value}"));
        let relations = found.relations.iter().map(|relation| format!("{} {}", relation.kind, relation.to.key));
        let words: Vec<String> = attributes.chain(relations).collect();
        let _ = writeln!(out, "{:<20}  {:<WIDTH_MAX$}  {}", found.class, found.key, words.join(", "));
    }
    out
}
