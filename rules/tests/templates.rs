//! Templates of annotations: a table, rendered by us and expected of Prometheus's own promtool, error texts included.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::{Value, json};
use watchkeep_rules::promql::eval::{Settings, instant};
use watchkeep_rules::promql::labels::{Labels, NAME};
use watchkeep_rules::promql::memory::Memory;
use watchkeep_rules::promql::series::Point;
use watchkeep_rules::promql::{eval, parse};
use watchkeep_rules::template::{Context, Template};

const TABLE: &str = include_str!("templates/texts.txt");
const MINUTE: i64 = 60_000;
const VALUE: f64 = 1_234_567.891;

fn texts() -> Vec<String> {
    let lines = TABLE.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| if line.contains('"') { line.to_owned() } else { line.replace("\\n", "\n") }).collect()
}

/// What the templates may ask for: series and their value from 0 to a minute.
fn series() -> Vec<(Labels, f64)> {
    let labels = |name: &str, pairs: &[(&str, &str)]| Labels::new([&[(NAME, name)], pairs].concat());
    vec![
        (labels("m", &[("host", "web-1.lan:9100"), ("job", "a<b>&'c'"), ("n", "3.7")]), VALUE),
        (labels("q", &[("host", "b"), ("v", "10")]), 1.0),
        (labels("q", &[("host", "a"), ("v", "9")]), 2.5),
        (labels("q", &[("host", "c")]), 0.5),
    ]
}

fn rendered(alert: &str, text: &str) -> Option<String> {
    let template = Template::parse(text).ok()?;
    let mut memory = Memory::default();
    for (labels, value) in series() {
        for at in [0, MINUTE] {
            memory.append(&labels, Point { at, value }).expect("rising times");
        }
    }
    let query = |text: &str| {
        let expr = parse(text).map_err(|faults| faults[0].message.clone())?;
        match instant(&expr, &memory, MINUTE, &Settings::default()).map_err(|error| error.message)?.value {
            eval::Value::Vector(samples) => Ok(samples),
            eval::Value::Scalar(value) => Ok(vec![eval::Sample::new(Labels::default(), value)]),
            _ => Err("rule result is not a vector or scalar".to_owned()),
        }
    };
    let labels = series()[0].0.to_map();
    let external_labels =
        BTreeMap::from([("site", "north"), ("zone", "z-1")].map(|(a, b)| (a.to_owned(), b.to_owned())));
    let context = Context {
        external_labels: &external_labels,
        external_url: "http://prom.lan:9090/sub/path",
        at: MINUTE,
        query: Some(&query),
        ..Context::new(&labels, VALUE)
    };
    Some(template.render_with(&context).unwrap_or_else(|error| template.failed(alert, &error)))
}

#[test]
fn promtool_renders_what_we_render() {
    let (mut rules, mut asked, mut refused) = (Vec::new(), Vec::new(), Vec::new());
    for (place, text) in texts().into_iter().enumerate() {
        let name = format!("A{place}");
        let rule = json!({"alert": name, "expr": "m", "annotations": {"text": text}});
        match rendered(&name, &text) {
            None => refused.push((name, rule)),
            Some(rendered) => {
                let labels: BTreeMap<_, _> =
                    series()[0].0.to_map().into_iter().filter(|(name, _)| name != NAME).collect();
                let expected = json!({"exp_labels": labels, "exp_annotations": {"text": rendered}});
                asked.push(json!({"eval_time": "1m", "alertname": name, "exp_alerts": [expected]}));
                rules.push(rule);
            }
        }
    }
    assert!(rules.len() > 120 && refused.len() > 5, "{} rendered, {} refused", rules.len(), refused.len());
    let folder = tempfile::tempdir().expect("a folder for the files");
    let write = |name: &str, value: Value| {
        let path = folder.path().join(name);
        std::fs::write(&path, value.to_string()).expect("a writable folder"); // JSON is YAML
        path
    };
    let given = series()
        .into_iter()
        .map(|(labels, value)| json!({"series": labels.to_string(), "values": format!("{value}x1")}));
    let test = json!({
        "rule_files": [write("rules.yaml", json!({"groups": [{"name": "g", "rules": rules}]}))],
        "evaluation_interval": "1m",
        "tests": [{
            "interval": "1m",
            "external_labels": {"site": "north", "zone": "z-1"},
            "external_url": "http://prom.lan:9090/sub/path",
            "input_series": given.collect::<Vec<_>>(),
            "alert_rule_test": asked,
        }],
    });
    let (passes, said) = promtool(&["test", "rules"], &write("test.yaml", test));
    assert!(passes, "{}", said.lines().take(80).collect::<Vec<_>>().join("\n"));
    let rules: Vec<&Value> = refused.iter().map(|(_, rule)| rule).collect();
    let (_, said) =
        promtool(&["check", "rules"], &write("refused.yaml", json!({"groups": [{"name": "g", "rules": rules}]})));
    for (name, rule) in &refused {
        assert!(said.contains(&format!("\"{name}\": annotation")), "promtool takes {rule}");
    }
}

fn promtool(args: &[&str], file: &std::path::Path) -> (bool, String) {
    let output = Command::new("promtool").args(args).arg(file).output().unwrap_or_else(|error| {
        panic!("promtool cannot be run ({error}); install Debian's package 'prometheus', as tests/debian-packages says")
    });
    (output.status.success(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}
