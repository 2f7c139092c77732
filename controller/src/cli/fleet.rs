//! `watchkeep fleet …`, and the diagnosis of one agent.

use clap::Subcommand;
use serde_json::Value;

use super::client::{Client, segment};
use super::incidents::word;
use super::output::{self, Format, ago, text};
use super::paging::Paging;
use super::{Outcome, screen};

#[derive(Debug, Subcommand)]
pub enum Fleet {
    /// Every agent: health, version, lag, spool, clock
    #[command(
        after_help = "Examples:\n  watchkeep fleet list --selector '{service=\"shop\", health!=\"healthy\"}'\n  watchkeep fleet list --all -o json"
    )]
    List {
        /// Over the labels, and instance, standing, health, version: '{environment="production"}'
        #[arg(long)]
        selector: Option<String>,
        #[command(flatten)]
        paging: Paging,
    },
}

impl Fleet {
    pub async fn run(self, client: &Client, format: Format) -> Outcome {
        match self {
            Self::List { selector, paging } => {
                let filter: Vec<(&str, String)> = selector.into_iter().map(|text| ("selector", text)).collect();
                let mut answer = paging.list(client, "/api/v1/fleet", &filter).await?;
                if format == Format::Table {
                    shorten(&mut answer);
                }
                let columns = [
                    text("NAME", "name"),
                    text("HEALTH", "health"),
                    text("STANDING", "standing"),
                    ago("SINCE", "since"),
                    text("LAG", "lag"),
                    text("SPOOL", "spool"),
                    text("CLOCK", "clock"),
                    text("VERSION", "version"),
                    text("LABELS", "labels"),
                ];
                let empty = if filter.is_empty() {
                    "No agent is enrolled. Make a token for one: watchkeep agent token create"
                } else {
                    "No such agent."
                };
                output::list(format, &answer, &columns, empty);
            }
        }
        Ok(())
    }
}

/// What a table shows of an agent's figures.
fn shorten(answer: &mut Value) {
    for agent in answer["items"].as_array_mut().into_iter().flatten() {
        let set = |words: Option<String>| words.map_or(Value::Null, Value::from);
        agent["lag"] = set(agent["lag_ms"].as_i64().map(output::age));
        agent["clock"] = set(agent["clock_skew_ms"].as_i64().map(skew));
        agent["spool"] = set(agent["figures"]["spool_bytes"].as_f64().map(size));
    }
}

/// How far a clock is off, to the tenth of a second.
fn skew(ms: i64) -> String {
    if ms.abs() < 100 { "0 s".to_owned() } else { format!("{:+.1} s", ms as f64 / 1000.0) }
}

fn size(bytes: f64) -> String {
    match bytes {
        small if small < 1024.0 * 1024.0 => format!("{:.0} KiB", small / 1024.0),
        large => format!("{:.1} MiB", large / 1024.0 / 1024.0),
    }
}

/// Shows what an agent's own account says, and what to do.
pub async fn diagnose(client: &Client, format: Format, name: &str) -> Outcome {
    let answer = client.get(&format!("/api/v1/agents/{}/diagnosis", segment(name)), &[]).await?;
    let now = chrono::Utc::now().timestamp_millis();
    output::one(format, &answer, |account| card(account, now, screen::width()));
    Ok(())
}

fn card(account: &Value, now: i64, width: usize) -> String {
    let mut told = format!("{}  {}\n", word(account, "name"), word(account, "health"));
    let findings = account["findings"].as_array().map_or(&[][..], Vec::as_slice);
    for finding in findings {
        told.push_str(&screen::behind("  ! ", word(finding, "found"), width));
        told.push_str(&screen::behind("    → ", word(finding, "help"), width));
    }
    if findings.is_empty() {
        told.push_str("  nothing is wrong with it\n");
    }
    let mut line = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            told.push_str(&screen::behind(&format!("  {name:<12} "), &value, width));
        }
    };
    let figures = &account["figures"];
    let figure = |name: &str| figures[name].as_f64();
    let since = account["since"]
        .as_i64()
        .map(|since| format!("{} for {}", word(account, "standing"), output::age(now - since)));
    line("link", since);
    line("version", Some(word(account, "version").to_owned()).filter(|version| !version.is_empty()));
    line("interval", account["interval_ms"].as_i64().map(output::age));
    line("last report", account["lag_ms"].as_i64().map(|lag| format!("{} ago", output::age(lag))));
    line("clock", account["clock_skew_ms"].as_i64().map(skew));
    let spool = figure("spool_bytes").map(|bytes| {
        let (matters, reports) = (figure("spool_matters").unwrap_or(0.0), figure("spool_reports").unwrap_or(0.0));
        format!("{}: {matters} matters not acknowledged, {reports} reports in no block file yet", size(bytes))
    });
    line("spool", spool);
    line("memory", figure("resident_bytes").map(size));
    line("CPU", figure("cpu_seconds").map(|seconds| format!("{seconds:.2} s since its start")));
    let started = figure("started_at_seconds").map(|at| output::age(now - (at * 1000.0) as i64));
    line("runs for", started.filter(|_| figure("started_at_seconds") > Some(0.0)));
    let commands = if account["acts"] == true {
        "carried out, as the host's policy allows"
    } else {
        "nobody on the host carries any out: see watchkeep-act and /etc/watchkeep/policy.yaml"
    };
    line("commands", Some(commands.to_owned()));
    for said in account["said"].as_array().into_iter().flatten() {
        let at = said["happened_at"].as_i64().unwrap_or_default();
        let words = format!("{} {}", word(said, "what").replace('_', " "), word(said, "detail"));
        told.push_str(&screen::behind(&format!("  {}  ", output::local(at)), words.trim(), width));
    }
    told
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_diagnosis_says_what_is_wrong_first_and_what_helps() {
        let account = json!({
            "name": "web-1", "health": "clock", "standing": "connected", "since": 0, "version": "0.1.0",
            "interval_ms": 15000, "lag_ms": 4000, "clock_skew_ms": 61500, "acts": false,
            "figures": {"spool_bytes": 20480.0, "spool_matters": 2.0, "spool_reports": 12.0, "resident_bytes": 5600000.0,
                "cpu_seconds": 1.5, "started_at_seconds": 10.0},
            "findings": [{"health": "clock", "found": "its clock is 61 s ahead of the controller's", "help": "set the time"}],
            "said": [{"happened_at": 5000, "what": "collector_stuck", "detail": "they did not come back"}],
        });
        insta::assert_snapshot!(card(&account, 70_000, 90), @r#"
        web-1  clock
          ! its clock is 61 s ahead of the controller's
            → set the time
          link         connected for 70 s
          version      0.1.0
          interval     15 s
          last report  4 s ago
          clock        +61.5 s
          spool        20 KiB: 2 matters not acknowledged, 12 reports in no block file yet
          memory       5.3 MiB
          CPU          1.50 s since its start
          runs for     60 s
          commands     nobody on the host carries any out: see watchkeep-act and
                       /etc/watchkeep/policy.yaml
          1970-01-01 00:00:05 UTC  collector stuck they did not come back
        "#);
    }

    #[test]
    fn figures_are_short_in_a_table() {
        let mut answer = json!({"items": [{"lag_ms": 130000, "clock_skew_ms": -2340, "figures": {"spool_bytes": 3145728.0}}, {"lag_ms": null}]});
        shorten(&mut answer);
        let shown = &answer["items"][0];
        assert_eq!(
            (shown["lag"].as_str(), shown["clock"].as_str(), shown["spool"].as_str()),
            (Some("2 min"), Some("-2.3 s"), Some("3.0 MiB"))
        );
        assert!(answer["items"][1]["lag"].is_null() && answer["items"][1]["clock"].is_null());
    }
}
