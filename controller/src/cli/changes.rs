//! `watchkeep change …`.

use clap::Subcommand;
use serde_json::Value;

use super::client::{Client, segment};
use super::incidents::word;
use super::output::{self, Format, ago, text};
use super::paging::Paging;
use super::{Outcome, screen, why};

#[derive(Debug, Subcommand)]
pub enum Changes {
    /// Changes, the newest first
    List {
        /// scheduled, implementing, review, closed …; repeatable
        #[arg(long)]
        state: Vec<String>,
        #[command(flatten)]
        paging: Paging,
    },
    /// One change: who asked for it, what it touches, how it went
    #[command(after_help = "Example:\n  watchkeep change show CHG-4")]
    Show {
        /// As "change list" names it: CHG-4
        change: String,
    },
}

impl Changes {
    pub async fn run(self, client: &Client, format: Format) -> Outcome {
        match self {
            Self::List { state, paging } => {
                let mut filter: Vec<(&str, String)> = Vec::new();
                filter.extend((!state.is_empty()).then(|| ("state", state.join(","))));
                let answer = paging.list(client, "/api/v1/changes", &filter).await?;
                let columns = [
                    text("ID", "id"),
                    text("TYPE", "kind"),
                    text("STATE", "state"),
                    text("RUN", "run"),
                    ago("AGE", "opened_at"),
                    text("TITLE", "title"),
                ];
                output::list(format, &answer, &columns, "No change yet. Every runbook run is one.");
            }
            Self::Show { change } => {
                let path = format!("/api/v1/changes/{}", segment(&change));
                let mut answer = client.get(&path, &[]).await?;
                answer["story"] = client.get(&format!("{path}/why"), &[]).await?;
                output::one(format, &answer, |change| card(change, screen::width()));
            }
        }
        Ok(())
    }
}

/// Who asked for it and why, what it touches, how it went, and its story.
fn card(change: &Value, width: usize) -> String {
    let head =
        format!("{}  {}  {}  ", word(change, "id"), word(change, "kind"), word(change, "state").replace('_', " "));
    let mut text = screen::behind(&head, word(change, "title"), width);
    let mut line = |name: &str, value: &str| {
        if !value.is_empty() {
            text.push_str(&screen::behind(&format!("  {name:<10} "), value, width));
        }
    };
    let asked = &change["asked_by"];
    let by = [word(asked, "kind"), &output::plain(&asked["id"])].join(" ");
    line("asked by", by.trim_end_matches("null").trim_end());
    line("incident", word(change, "incident"));
    line("run", word(change, "run"));
    line("template", word(change, "template"));
    line("host", word(change, "agent"));
    for ci in change["touches"].as_array().into_iter().flatten() {
        line("touches", &format!("{} {}  {}", word(ci, "class"), word(ci, "name"), word(ci, "short")));
    }
    let at = |name: &str| change[name].as_i64();
    for (name, instant) in [("opened", at("opened_at")), ("started", at("started_at"))] {
        line(name, &instant.map(output::local).unwrap_or_default());
    }
    if let (Some(started), Some(finished)) = (at("started_at"), at("finished_at")) {
        line("finished", &format!("{}, after {}", output::local(finished), output::age(finished - started)));
    }
    let success = &change["success"];
    let good = if success["good"] == true { "yes" } else { "no" };
    match success["why"].as_str() {
        Some(why) => line("success", &format!("{good}: {why}")),
        None => line("success", "not known yet: it shows within a day of the end"),
    }
    text.push_str(&why::lines(&change["story"], width));
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// 2026-03-02 23:59:30 UTC
    const BEGIN: i64 = 1_772_495_970_000;

    #[test]
    fn a_change_says_who_asked_what_it_touches_and_how_it_went() {
        let change = json!({
            "id": "CHG-4", "kind": "standard", "state": "closed", "title": "Restart nginx.service on web-3", "agent": "web-3",
            "asked_by": {"kind": "rule", "id": "UnitFailed"}, "incident": "INC-7", "run": "RUN-4", "template": "restart-service",
            "touches": [{"class": "host", "name": "web-3", "short": "3f0c9a12b4de"}],
            "opened_at": BEGIN, "started_at": BEGIN + 1_000, "finished_at": BEGIN + 5_000,
            "success": {"good": true, "why": "no incident on its CIs within a day"},
            "story": {"change": "CHG-4", "lines": [
                {"happened_at": BEGIN, "subject": "CHG-4", "sentence": "CHG-4 opened for RUN-4", "actor": "by rule UnitFailed", "because": []},
            ]},
        });
        insta::assert_snapshot!(card(&change, screen::UNBOUNDED), @r"
        CHG-4  standard  closed  Restart nginx.service on web-3
          asked by   rule UnitFailed
          incident   INC-7
          run        RUN-4
          template   restart-service
          host       web-3
          touches    host web-3  3f0c9a12b4de
          opened     2026-03-02 23:59:30 UTC
          started    2026-03-02 23:59:31 UTC
          finished   2026-03-02 23:59:35 UTC, after 4 s
          success    yes: no incident on its CIs within a day
        Monday 2026-03-02, UTC+00:00
          23:59:30.000  +0.0 s    CHG-4 opened for RUN-4, by rule UnitFailed
        ");
        let asked = json!({"asked_by": {"kind": "controller"}, "success": null});
        assert!(card(&asked, screen::UNBOUNDED).contains("  asked by   controller\n"));
    }
}
