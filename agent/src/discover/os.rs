//! The operating system, from os-release(5).

use watchkeep_protocol::inventory::Item;

use super::item;
use crate::root::Root;

/// Attribute and field.
const FIELDS: [(&str, &str); 6] = [
    ("id", "ID"),
    ("name", "NAME"),
    ("version", "VERSION"),
    ("version_id", "VERSION_ID"),
    ("codename", "VERSION_CODENAME"),
    ("pretty_name", "PRETTY_NAME"),
];

/// The one item of section `os`, keyed by its `ID`; none where the host does not say.
pub fn items(root: &Root) -> Vec<Item> {
    let text = release(root);
    let id = field(&text, "ID").or_else(|| (!text.is_empty()).then(|| "linux".to_owned()));
    let attributes = FIELDS.map(|(attribute, name)| (attribute, field(&text, name)));
    id.map(|id| item("operating_system", id, attributes.to_vec())).into_iter().collect()
}

/// The text of os-release(5), the administrator's before the vendor's; empty where there is none.
pub fn release(root: &Root) -> String {
    let text = Some(root.text("etc/os-release")).filter(|text| !text.is_empty());
    text.unwrap_or_else(|| root.text("usr/lib/os-release"))
}

/// A field of that text.
pub fn field(text: &str, name: &str) -> Option<String> {
    let value = text.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix('='))?;
    Some(unquoted(value.trim()))
}

/// A shell's word: in single or double quotes or none, with `\` before `"`, `$`, `\` and `` ` ``.
fn unquoted(word: &str) -> String {
    let inner = |quote: char| word.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote));
    if let Some(inner) = inner('\'') {
        return inner.to_owned();
    }
    let mut out = String::new();
    let mut chars = inner('"').unwrap_or(word).chars();
    while let Some(c) = chars.next() {
        out.push(if c == '\\' { chars.next().unwrap_or(c) } else { c });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root::testing::TempFiles;

    #[test]
    fn the_system_is_what_it_calls_itself() {
        let files = TempFiles::new();
        files.write(
            "etc/os-release",
            "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME='Debian GNU/Linux'\nVERSION_ID=\"12\"\nID=debian\nID_LIKE=x\n",
        );
        let system = items(&files.root()).remove(0);
        assert_eq!((system.class.as_str(), system.key.as_str()), ("operating_system", "debian"));
        assert_eq!(system.attributes["pretty_name"], "Debian GNU/Linux 12 (bookworm)");
        assert_eq!(system.attributes["name"], "Debian GNU/Linux");
        assert!(!system.attributes.contains_key("codename"), "what is not said is not there");
    }

    #[test]
    fn a_host_that_does_not_say_has_none() {
        assert!(items(&TempFiles::new().root()).is_empty());
    }

    #[test]
    fn words_are_a_shell_s() {
        for (word, read) in [("a", "a"), ("\"a \\\"b\\\" \\$c\"", "a \"b\" $c"), ("'a\\b'", "a\\b"), ("\"", "\"")] {
            assert_eq!(unquoted(word), read, "{word}");
        }
    }
}
