//! `watchkeep incident …`.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::Outcome;
use super::client::Client;
use super::output::{self, Column, Days, Format, ago, clock, text};
use super::paging::Paging;

#[derive(Debug, Subcommand)]
pub enum Incidents {
    /// What is open, worst first; with --state what was
    #[command(
        after_help = "Examples:\n  watchkeep incident list\n  watchkeep incident list --state resolved --priority 1"
    )]
    List {
        /// new, acknowledged, in_progress, on_hold, resolved, closed, cancelled; repeatable. Without it: all that are open
        #[arg(long)]
        state: Vec<String>,
        /// 1 (worst) to 5; repeatable
        #[arg(long, value_parser = clap::value_parser!(u8).range(1..=5))]
        priority: Vec<u8>,
        /// Words in the title or key
        #[arg(long)]
        search: Option<String>,
        #[command(flatten)]
        paging: Paging,
    },
    /// One incident with its timeline, runs and what was attached
    Show {
        /// INC-7, as "incident list" names it
        incident: String,
    },
    /// "I have seen it": stops escalation, takes nothing over
    #[command(visible_alias = "acknowledge")]
    Ack(Noted),
    /// Give it to a person or a group
    #[command(after_help = "Example:\n  watchkeep incident assign INC-7 --to eva --group linux")]
    Assign {
        /// INC-7, as "incident list" names it
        incident: String,
        /// The person
        #[arg(long)]
        to: Option<String>,
        /// The group
        #[arg(long)]
        group: Option<String>,
        /// A word for its timeline
        #[arg(long, default_value = "", hide_default_value = true)]
        note: String,
    },
    /// Begin to work on it; from then on it does not resolve by itself
    Progress(Noted),
    /// Wait for somebody
    #[command(after_help = "Example:\n  watchkeep incident hold INC-7 --for vendor --note \"ticket 4711\"")]
    Hold {
        /// INC-7, as "incident list" names it
        incident: String,
        /// Whom or what it waits for
        #[arg(long = "for", value_name = "WHOM", value_parser = ["caller", "change", "problem", "vendor"])]
        awaiting: String,
        /// A word for its timeline
        #[arg(long, default_value = "", hide_default_value = true)]
        note: String,
    },
    /// Say that it is mended, and how
    #[command(
        after_help = "Example:\n  watchkeep incident resolve INC-7 --note \"cleared the cache and restarted it\""
    )]
    Resolve {
        /// INC-7, as "incident list" names it
        incident: String,
        /// fixed_by_person, recovered, duplicate, false_alarm
        #[arg(long, default_value = "fixed_by_person")]
        code: String,
        /// What was done
        #[arg(long)]
        note: String,
    },
    /// It came back, or was not mended
    Reopen(Explained),
    /// Done with it
    Close(Noted),
    /// It should never have been opened
    Cancel(Explained),
    /// Write something into its timeline
    Note {
        /// INC-7, as "incident list" names it
        incident: String,
        /// The line
        note: String,
    },
    /// Set its priority by hand; the reason is kept
    #[command(after_help = "Example:\n  watchkeep incident priority INC-7 1 --note \"the shop stands still\"")]
    Priority {
        /// INC-7, as "incident list" names it
        incident: String,
        /// 1 (worst) to 5
        #[arg(value_parser = clap::value_parser!(u8).range(1..=5))]
        priority: u8,
        /// Why
        #[arg(long)]
        note: String,
    },
}

/// An incident and why.
#[derive(Debug, Args)]
pub struct Explained {
    /// INC-7, as "incident list" names it
    incident: String,
    /// Why, for its timeline
    #[arg(long)]
    note: String,
}

/// An incident and, if you like, why.
#[derive(Debug, Args)]
pub struct Noted {
    /// INC-7, as "incident list" names it
    incident: String,
    /// A word for its timeline
    #[arg(long, default_value = "", hide_default_value = true)]
    note: String,
}

impl Incidents {
    pub async fn run(self, client: &Client, format: Format) -> Outcome {
        let (incident, act, body) = match self {
            Self::List { state, priority, search, paging } => {
                return list(client, format, state, priority, search, paging).await;
            }
            Self::Show { incident } => {
                let answer = client.get(&format!("/api/v1/incidents/{incident}"), &[]).await?;
                output::one(format, &answer, card);
                return Ok(());
            }
            Self::Ack(Noted { incident, note }) => (incident, "acknowledge", json!({"note": note})),
            Self::Progress(Noted { incident, note }) => (incident, "progress", json!({"note": note})),
            Self::Reopen(Explained { incident, note }) => (incident, "reopen", json!({"note": note})),
            Self::Close(Noted { incident, note }) => (incident, "close", json!({"note": note})),
            Self::Cancel(Explained { incident, note }) => (incident, "cancel", json!({"note": note})),
            Self::Note { incident, note } => (incident, "note", json!({"note": note})),
            Self::Assign { incident, to, group, note } => {
                (incident, "assign", json!({"assignee": to, "group": group, "note": note}))
            }
            Self::Hold { incident, awaiting, note } => (incident, "hold", json!({"awaiting": awaiting, "note": note})),
            Self::Resolve { incident, code, note } => (incident, "resolve", json!({"code": code, "note": note})),
            Self::Priority { incident, priority, note } => {
                (incident, "priority", json!({"priority": priority, "note": note}))
            }
        };
        let answer = client.post(&format!("/api/v1/incidents/{incident}/{act}"), &body).await?;
        output::one(format, &answer, |incident| done(act, incident));
        Ok(())
    }
}

const COLUMNS: [Column; 6] = [
    text("ID", "id"),
    text("P", "priority"),
    text("STATE", "state"),
    ago("AGE", "opened_at"),
    text("HOST", "agent"),
    text("TITLE", "title"),
];

/// Whose a record is: `alice of linux`; empty where it is nobody's.
pub(super) fn receiver(record: &Value) -> String {
    let named = ["assignee", "group"].map(|name| word(record, name));
    named.into_iter().filter(|name| !name.is_empty()).collect::<Vec<_>>().join(" of ")
}

/// What an act came to, in a line.
fn done(act: &str, incident: &Value) -> String {
    let id = word(incident, "id");
    match act {
        "note" => format!("{id}: noted.\n"),
        "priority" => format!("{id} is P{} now.\n", incident["priority"]["level"]),
        "assign" => format!("{id} is with {} now.\n", receiver(incident)),
        "resolve" => format!("{id} is {} now.{}\n", word(incident, "state"), still_firing(incident)),
        _ => format!("{id} is {} now.\n", word(incident, "state")),
    }
}

/// What a person should know who resolves what is not over.
fn still_firing(incident: &Value) -> String {
    let alerts = incident["alerts"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut rules: Vec<&str> =
        alerts.iter().filter(|alert| alert["standing"] == "firing").map(|alert| word(alert, "rule")).collect();
    rules.dedup();
    match rules.as_slice() {
        [] => String::new(),
        rules => format!(
            " {} still fires: nobody is told of it again before it has cleared and fires anew.",
            rules.join(", ")
        ),
    }
}

async fn list(
    client: &Client,
    format: Format,
    states: Vec<String>,
    priorities: Vec<u8>,
    search: Option<String>,
    paging: Paging,
) -> Outcome {
    let mut filter: Vec<(&str, String)> = Vec::new();
    filter.extend((!states.is_empty()).then(|| ("state", states.join(","))));
    let priorities: Vec<String> = priorities.iter().map(u8::to_string).collect();
    filter.extend((!priorities.is_empty()).then(|| ("priority", priorities.join(","))));
    filter.extend(search.map(|words| ("search", words)));
    let answer = paging.list(client, "/api/v1/incidents", &filter).await?;
    let empty = if filter.is_empty() {
        "Nothing is open. To see an incident open and be handled: watchkeep-agent event send demonstration"
    } else {
        "No such incident."
    };
    output::list(format, &answer, &COLUMNS, empty);
    Ok(())
}

/// What a person needs of an incident at night, most important first.
fn card(incident: &Value) -> String {
    let mut card = format!(
        "{}  P{}  {}  {}\n",
        word(incident, "id"),
        incident["priority"]["level"],
        word(incident, "state"),
        word(incident, "title")
    );
    let mut line = |name: &str, value: &Value| match value {
        Value::Null => {}
        Value::String(value) => card.push_str(&format!("  {name:<10} {value}\n")),
        Value::Number(value) if name == "count" && value.as_u64() == Some(1) => {}
        value => card.push_str(&format!("  {name:<10} {value}\n")),
    };
    line("host", &incident["agent"]);
    let ci = &incident["ci_in_short"];
    if ci.is_object() {
        line("ci", &format!("{} {}  {}", word(ci, "class"), word(ci, "name"), word(ci, "short")).into());
    }
    line("key", &incident["key"]);
    line("group", &incident["group"]);
    line("assignee", &incident["assignee"]);
    line("count", &incident["count"]);
    line("resolved", &incident["resolution"]["code"]);
    line("problem", &incident["problem"]);
    line("workaround", &incident["workaround"]);
    for page in incident["knowledge"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        line("knowledge", &format!("{page}  (watchkeep rules knowledge {page})").into());
    }
    for change in incident["surroundings"]["changes"].as_array().into_iter().flatten().take(3) {
        line("changed", &change["identity"]);
    }
    for reason in incident["priority"]["reasons"].as_array().into_iter().flatten() {
        line("priority", &reason["sentence"]);
    }
    for run in incident["runs"].as_array().into_iter().flatten() {
        line("run", run);
    }
    let mut days = Days::default();
    for entry in incident["timeline"].as_array().into_iter().flatten() {
        let at = entry["at"].as_i64().unwrap_or_default();
        card.push_str(&days.turn(at));
        card.push_str(&format!("  {}  {}\n", clock(at), word(entry, "sentence")));
    }
    for attachment in incident["attachments"].as_array().into_iter().flatten() {
        card.push_str(&format!("Attached: {} of {}\n", word(attachment, "name"), word(attachment, "run")));
        for line in word(attachment, "text").lines().take(40) {
            card.push_str(&format!("  {line}\n"));
        }
    }
    card
}

/// A text of a record, or nothing.
pub fn word<'a>(record: &'a Value, name: &str) -> &'a str {
    record[name].as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests;
