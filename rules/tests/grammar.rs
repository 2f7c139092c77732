//! Which expressions are well formed: a table, what we say, and what Prometheus's own promtool says.
//!
//! Debian's promtool is of Prometheus 2, so the table marks what has changed since.

use std::collections::BTreeSet;
use std::process::Command;

use watchkeep_rules::promql::{Asked, Features, parse, parse_with};

const TABLE: &str = include_str!("grammar/expressions.txt");
const EXPERIMENTAL: &str = include_str!("grammar/experimental.txt");

#[test]
fn what_is_experimental_is_taken_with_its_feature_alone() {
    let asked = Asked { step: 15_000, range: 3_600_000 };
    let mut wrong = Vec::new();
    for (feature, text) in rows(EXPERIMENTAL) {
        let enabled = Features::named(if feature == "bad" { ALL } else { feature }).expect("a feature of Prometheus's");
        let others = match feature {
            FUNCTIONS => DURATIONS,
            _ => FUNCTIONS,
        };
        match parse_with(&text, enabled, asked) {
            Ok(_) if feature == "bad" => wrong.push(format!("bad {text}: is taken")),
            Err(faults) if feature != "bad" => wrong.push(format!("{feature} {text}: {}", faults[0])),
            _ => {}
        }
        let others = Features::named(others).expect("a feature of Prometheus's");
        match parse_with(&text, others, asked) {
            Ok(_) if feature != "bad" => wrong.push(format!("{feature} {text}: is taken without it")),
            Err(faults) if feature != "bad" && !faults[0].message.contains(feature) => {
                wrong.push(format!("{feature} {text}: is not named: {}", faults[0]));
            }
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

const FUNCTIONS: &str = "promql-experimental-functions";
const DURATIONS: &str = "promql-duration-expr";
const ALL: &str = "promql-experimental-functions,promql-duration-expr";

/// Verdict and expression of each line; `\n`, `\r` and `\t` outside of quotes are space.
fn table() -> Vec<(&'static str, String)> {
    rows(TABLE)
}

fn rows(table: &'static str) -> Vec<(&'static str, String)> {
    let lines = table.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let rows = lines.map(|line| {
        let (verdict, text) = line.split_once(' ').expect("a verdict and an expression");
        let text = text.trim_start();
        let has_quotes = text.contains('\\') && text.contains(['"', '\'', '`']) && !text.contains('#');
        (verdict, if has_quotes { text.to_owned() } else { unescaped(text) })
    });
    rows.collect()
}

fn unescaped(text: &str) -> String {
    text.replace("\\n", "\n").replace("\\r", "\r").replace("\\t", "\t")
}

#[test]
fn expressions_are_taken_and_refused_as_the_documentation_says() {
    let mut wrong = Vec::new();
    for (verdict, text) in table() {
        let taken = match verdict {
            "ok" | "new" => true,
            "bad" | "gone" => false,
            other => panic!("{other} is no verdict: {text}"),
        };
        match parse(&text) {
            Ok(_) if !taken => wrong.push(format!("{verdict} {text}: is taken")),
            Err(faults) if taken => wrong.push(format!("{verdict} {text}: {}", faults[0])),
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is taken is written so that it reads back as what it was.
#[test]
fn what_is_taken_reads_back_from_how_it_is_written() {
    for (_, text) in table() {
        let Ok(expr) = parse(&text) else { continue };
        let written = expr.to_string();
        let again = parse(&written).unwrap_or_else(|faults| panic!("{text} is written as {written}: {faults:?}"));
        assert_eq!(again.to_string(), written, "{text}");
    }
}

#[test]
fn promtool_agrees() {
    let table = table();
    assert!(table.len() > 400, "{} expressions", table.len());
    let rules = table.iter().enumerate().map(|(place, (_, text))| {
        format!("  - record: r{place}\n    expr: {}\n", serde_json::Value::from(text.as_str())) // JSON is YAML
    });
    let file = format!("groups:\n- name: g\n  rules:\n{}", rules.collect::<String>());
    let folder = tempfile::tempdir().expect("a folder for the file");
    let path = folder.path().join("grammar.yaml");
    std::fs::write(&path, file).expect("a writable folder");
    let output = Command::new("promtool").args(["check", "rules"]).arg(&path).output().unwrap_or_else(|error| {
        panic!("promtool cannot be run ({error}); install Debian's package 'prometheus', as tests/debian-packages says")
    });
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    let refused: BTreeSet<usize> = said.lines().filter_map(rule_of).collect();
    assert!(!refused.is_empty(), "{said}");
    let mut wrong = Vec::new();
    for (place, (verdict, text)) in table.iter().enumerate() {
        if refused.contains(&place) != matches!(*verdict, "bad" | "new") {
            let theirs = if refused.contains(&place) { "refuses" } else { "takes" };
            wrong.push(format!("{verdict} {text}: promtool {theirs} it"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The rule that a line of complaint names: `…, rule 3, "r2": could not parse expression: …`
fn rule_of(line: &str) -> Option<usize> {
    let (_, after) = line.split_once("\"r")?;
    after.split_once("\": could not parse expression")?.0.parse().ok()
}
