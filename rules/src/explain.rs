//! `rules explain`: where each rule over samples runs, why there, and what it reads.

use std::fmt;

use serde::Serialize;

use crate::duration;
use crate::metric::{MetricRules, Rule, Scope, selectors};
use crate::model::{Group, RuleBook};
use crate::promql::ast::{Expr, VectorSelector, When};
use crate::promql::eval::Settings;
use crate::stream::{self, Derived};

/// Every rule over samples of a book, in the order of files, groups and places.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explained {
    pub rules: Vec<RuleExplained>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RuleExplained {
    pub rule: String,
    pub file: String,
    pub group: String,
    pub expr: String,
    pub runs: Runs,
    /// The selectors, each once.
    pub reads: Vec<Reading>,
}

/// Where a rule runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "scope", rename_all = "lowercase")]
pub enum Runs {
    /// For each host by itself, at the instant of each of its reports.
    Host {
        /// Why the plain evaluator judges it with each report; none where it is judged as rows stream in, and the plain
        /// evaluator is asked only where it gives something, where two series of a host cannot be told apart, and of a first
        /// report or one after late samples.
        #[serde(skip_serializing_if = "Option::is_none")]
        plain: Option<String>,
    },
    /// Over all hosts, at its group's interval.
    Fleet {
        why: String,
        /// The part of the expression that makes it so.
        part: String,
        /// What would make it a rule of one host.
        #[serde(skip_serializing_if = "Option::is_none")]
        help: Option<String>,
    },
}

/// One selector, and how far back it looks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reading {
    pub selector: String,
    pub back_ms: i64,
}

/// Explains the rules over samples of a checked book. All at once: what one rule records another may read.
///
/// # Errors
/// A rule that was not checked: the sentence names it.
pub fn explain(book: &RuleBook) -> Result<Explained, String> {
    let groups = book.groups.iter().map(|group| (group, Rule::of_group(book, &group.file, &group.name)));
    let placed: Vec<(&Group, Rule)> =
        groups.flat_map(|(group, rules)| rules.into_iter().map(move |rule| (group, rule))).collect();
    let all = MetricRules::new(placed.iter().map(|(_, rule)| rule.clone()).collect())?;
    let derived = Derived::of(book);
    let explained =
        placed.iter().zip(all.rules()).zip(all.scopes()).map(|(((group, rule), (_, expr)), scope)| RuleExplained {
            rule: rule.name().to_owned(),
            file: group.file.clone(),
            group: group.name.clone(),
            expr: rule.expr().trim().to_owned(),
            runs: runs(scope, rule, || plain(group, expr, &derived)),
            reads: reads(expr),
        });
    Ok(Explained { rules: explained.collect() })
}

/// Why the plain evaluator judges a rule of one host with each report.
fn plain(group: &Group, expr: &Expr, derived: &Derived) -> Option<String> {
    match group.query_offset {
        0 => stream::reads(expr, derived).err(),
        _ => Some("its group has a 'query_offset'".to_owned()),
    }
}

fn runs(scope: Scope, rule: &Rule, plain: impl Fn() -> Option<String>) -> Runs {
    let text = rule.expr();
    match scope {
        Scope::Host => Runs::Host { plain: plain() },
        Scope::Fleet(across) => {
            let part = text.get(across.part.from..across.part.to).unwrap_or(text);
            Runs::Fleet { why: across.why, part: one_line(part), help: across.help }
        }
    }
}

fn reads(expr: &Expr) -> Vec<Reading> {
    let lookback = Settings::default().lookback;
    let mut found: Vec<Reading> = Vec::new();
    for read in selectors(expr) {
        let reading = Reading { selector: shown(read.selector), back_ms: read.back(lookback) };
        match found.iter_mut().find(|known| known.selector == reading.selector) {
            Some(known) => known.back_ms = known.back_ms.max(reading.back_ms),
            None => found.push(reading),
        }
    }
    found
}

/// As it would be written, without `offset` and `@`: these are in how far back it looks.
fn shown(selector: &VectorSelector) -> String {
    VectorSelector { when: When::default(), ..selector.clone() }.to_string()
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut heading = ("", "");
        for rule in &self.rules {
            if heading != (rule.file.as_str(), rule.group.as_str()) {
                heading = (&rule.file, &rule.group);
                writeln!(f, "{}, group \"{}\"", rule.file, rule.group)?;
            }
            write!(f, "{rule}")?;
        }
        let count = |of: fn(&Runs) -> bool| self.rules.iter().filter(|rule| of(&rule.runs)).count();
        let hosts = count(|runs| matches!(runs, Runs::Host { .. }));
        let streamed = count(|runs| matches!(runs, Runs::Host { plain: None }));
        let across = self.rules.len() - hosts;
        write!(f, "rules of one host: {hosts}, judged as samples stream in: {streamed}, across hosts: {across}")
    }
}

impl fmt::Display for RuleExplained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.runs {
            Runs::Host { plain: None } => writeln!(f, "  {}: host, judged as its samples stream in", self.rule)?,
            Runs::Host { plain: Some(why) } => {
                writeln!(f, "  {}: host, evaluated with each report", self.rule)?;
                writeln!(f, "      why    not as samples stream in: {why}")?;
            }
            Runs::Fleet { why, part, help } => {
                writeln!(f, "  {}: fleet, judged over all hosts at intervals", self.rule)?;
                writeln!(f, "      why    {why}: {part}")?;
                if let Some(help) = help {
                    writeln!(f, "      help   {help}")?;
                }
            }
        }
        for read in &self.reads {
            writeln!(f, "      reads  {}, {} back", read.selector, duration::format(read.back_ms))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::load;

    const RULES: &str = r#"groups:
  - name: hosts
    rules:
      - alert: FilesystemFull
        expr: |
          node_filesystem_avail_bytes{fstype!="tmpfs"} / node_filesystem_size_bytes < 0.1
            and predict_linear(node_filesystem_avail_bytes{fstype!="tmpfs"}[6h] offset 5m, 3600) < 0
      - alert: FilesystemFilling
        expr: node_filesystem_avail_bytes < 1e9 and predict_linear(node_filesystem_avail_bytes[6h], 3600) < 0
      - alert: LoadedNow
        expr: max_over_time(node_load1[5m:1m]) > 10
      - record: instance:load
        expr: node_load1 * 2
      - alert: HostsDown
        expr: |
          count by (job) (up == 0)
            > 3
      - record: job:load
        expr: sum by (job) (node_load1)
      - alert: LoadedMore
        expr: node_load1 > on (job) group_left job:load
"#;

    #[test]
    fn each_rule_is_told_where_it_runs_and_why() {
        let book = load(&[("hosts.yaml".into(), RULES.to_owned())]).expect("good rules");
        let explained = explain(&book).expect("they were checked");
        insta::assert_snapshot!(explained.to_string(), @r#"
        hosts.yaml, group "hosts"
          FilesystemFull: host, judged as its samples stream in
              reads  node_filesystem_avail_bytes{fstype!="tmpfs"}, 6h5m back
              reads  node_filesystem_size_bytes, 5m back
          FilesystemFilling: host, judged as its samples stream in
              reads  node_filesystem_avail_bytes, 6h back
          LoadedNow: host, evaluated with each report
              why    not as samples stream in: subqueries are not compiled
              reads  node_load1, 10m back
          instance:load: host, judged as its samples stream in
              reads  node_load1, 5m back
          HostsDown: fleet, judged over all hosts at intervals
              why    'count' puts hosts together: count by (job) (up == 0)
              help   group by (job, instance) to keep hosts apart
              reads  up, 5m back
          job:load: fleet, judged over all hosts at intervals
              why    'sum' puts hosts together: sum by (job) (node_load1)
              help   group by (job, instance) to keep hosts apart
              reads  node_load1, 5m back
          LoadedMore: fleet, judged over all hosts at intervals
              why    'job:load' is recorded by a rule across hosts: job:load
              reads  node_load1, 5m back
              reads  job:load, 5m back
        rules of one host: 4, judged as samples stream in: 3, across hosts: 3
        "#);
        let json = serde_json::to_value(&explained).expect("plain data");
        assert_eq!(json["rules"][0]["runs"]["scope"], "host");
        assert_eq!(json["rules"][0]["reads"][0]["back_ms"], 6 * 3_600_000 + 5 * 60_000);
        assert_eq!(json["rules"][4]["runs"]["part"], "count by (job) (up == 0)");
    }
}
