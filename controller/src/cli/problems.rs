//! `watchkeep problem …`.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::Outcome;
use super::client::Client;
use super::incidents::{receiver, word};
use super::output::{self, Column, Days, Format, ago, clock, text};
use super::paging::Paging;

/// Links shown on a card, the strongest.
const LINKS: usize = 10;

#[derive(Debug, Subcommand)]
pub enum Problems {
    /// What lies behind incidents and is open; with --state what was
    #[command(after_help = "Examples:\n  watchkeep problem list\n  watchkeep problem list --state known_error")]
    List {
        /// new, investigating, known_error, fix_in_progress, resolved, closed, cancelled; repeatable. Without it: all that are open
        #[arg(long)]
        state: Vec<String>,
        /// The problem of this incident
        #[arg(long)]
        incident: Option<String>,
        /// Words in the title
        #[arg(long)]
        search: Option<String>,
        #[command(flatten)]
        paging: Paging,
    },
    /// One problem with what may be the cause, why its incidents stand together, and its timeline
    Show {
        /// PRB-2, as "problem list" names it
        problem: String,
    },
    /// Open one by hand
    #[command(after_help = "Example:\n  watchkeep problem create INC-7 INC-9 --title \"the new kernel drops packets\"")]
    Create {
        /// INC-7 …, one or more
        #[arg(required = true)]
        incidents: Vec<String>,
        /// Left out: made from what may be the cause
        #[arg(long, default_value = "", hide_default_value = true)]
        title: String,
        /// A word for its timeline
        #[arg(long, default_value = "", hide_default_value = true)]
        note: String,
    },
    /// Put incidents into it
    #[command(after_help = "Example:\n  watchkeep problem join PRB-2 INC-9 --note \"the same disk\"")]
    Join {
        /// PRB-2, as "problem list" names it
        problem: String,
        /// INC-7 …, one or more
        #[arg(required = true)]
        incidents: Vec<String>,
        /// A word for its timeline
        #[arg(long, default_value = "", hide_default_value = true)]
        note: String,
    },
    /// Make it part of another one; "split" undoes that
    #[command(after_help = "Example:\n  watchkeep problem merge PRB-3 --into PRB-2")]
    Merge {
        /// PRB-2, as "problem list" names it
        problem: String,
        /// The problem that it becomes part of
        #[arg(long, value_name = "PROBLEM")]
        into: String,
        /// A word for its timeline
        #[arg(long, default_value = "", hide_default_value = true)]
        note: String,
    },
    /// Take incidents out; they are not put back but by hand
    #[command(after_help = "Example:\n  watchkeep problem split PRB-2 INC-9 --note \"another disk\"")]
    Split {
        /// PRB-2, as "problem list" names it
        problem: String,
        /// INC-7 …, one or more
        #[arg(required = true)]
        incidents: Vec<String>,
        /// Why they do not belong there
        #[arg(long)]
        note: String,
    },
    /// Give it to a person or a group; from then on it does not resolve by itself
    #[command(after_help = "Example:\n  watchkeep problem assign PRB-2 --to eva --group linux")]
    Assign {
        /// PRB-2, as "problem list" names it
        problem: String,
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
    /// Begin to look for the cause
    Investigate(Noted),
    /// The cause is known: say how to live with it; each incident that joins shows that
    #[command(after_help = "Example:\n  watchkeep problem known-error PRB-2 --workaround \"restart it twice\"")]
    KnownError {
        /// PRB-2, as "problem list" names it
        problem: String,
        /// How to live with it; shown on every incident that joins
        #[arg(long)]
        workaround: String,
        /// A word for its timeline
        #[arg(long, default_value = "", hide_default_value = true)]
        note: String,
    },
    /// The fix is being made
    Fix(Noted),
    /// The cause is gone
    #[command(
        after_help = "Example:\n  watchkeep problem resolve PRB-2 --note \"the firmware of 2026-11 is on all disks\""
    )]
    Resolve {
        /// PRB-2, as "problem list" names it
        problem: String,
        /// What was done
        #[arg(long)]
        note: String,
    },
    /// It was not gone
    Reopen(Explained),
    /// Done with it
    Close(Noted),
    /// It was no problem: its incidents stand by themselves again
    Cancel(Explained),
    /// Write something into its timeline
    Note {
        /// PRB-2, as "problem list" names it
        problem: String,
        /// The line
        note: String,
    },
}

/// A problem and why.
#[derive(Debug, Args)]
pub struct Explained {
    /// PRB-2, as "problem list" names it
    problem: String,
    /// Why, for its timeline
    #[arg(long)]
    note: String,
}

/// A problem and, if you like, why.
#[derive(Debug, Args)]
pub struct Noted {
    /// PRB-2, as "problem list" names it
    problem: String,
    /// A word for its timeline
    #[arg(long, default_value = "", hide_default_value = true)]
    note: String,
}

const COLUMNS: [Column; 6] = [
    text("ID", "id"),
    text("P", "priority"),
    text("STATE", "state"),
    text("INCIDENTS", "incidents"),
    ago("AGE", "opened_at"),
    text("TITLE", "title"),
];

impl Problems {
    pub async fn run(self, client: &Client, format: Format) -> Outcome {
        let (problem, act, body) = match self {
            Self::List { state, incident, search, paging } => {
                let mut filter: Vec<(&str, String)> = Vec::new();
                filter.extend((!state.is_empty()).then(|| ("state", state.join(","))));
                filter.extend(incident.map(|incident| ("incident", incident)));
                filter.extend(search.map(|words| ("search", words)));
                let answer = paging.list(client, "/api/v1/problems", &filter).await?;
                output::list(
                    format,
                    &answer,
                    &COLUMNS,
                    "None is there. A problem opens by itself where incidents have a common cause; by hand: watchkeep problem \
                     create --help",
                );
                return Ok(());
            }
            Self::Show { problem } => {
                let answer = client.get(&format!("/api/v1/problems/{problem}"), &[]).await?;
                output::one(format, &answer, card);
                return Ok(());
            }
            Self::Create { incidents, title, note } => {
                let body = json!({"incidents": incidents, "title": title, "note": note});
                let answer = client.post("/api/v1/problems", &body).await?;
                output::one(format, &answer, card);
                return Ok(());
            }
            Self::Join { problem, incidents, note } => (problem, "join", json!({"incidents": incidents, "note": note})),
            Self::Split { problem, incidents, note } => {
                (problem, "split", json!({"incidents": incidents, "note": note}))
            }
            Self::Merge { problem, into, note } => (problem, "merge", json!({"into": into, "note": note})),
            Self::KnownError { problem, workaround, note } => {
                (problem, "known-error", json!({"workaround": workaround, "note": note}))
            }
            Self::Assign { problem, to, group, note } => {
                (problem, "assign", json!({"assignee": to, "group": group, "note": note}))
            }
            Self::Investigate(Noted { problem, note }) => (problem, "investigate", json!({"note": note})),
            Self::Fix(Noted { problem, note }) => (problem, "fix", json!({"note": note})),
            Self::Resolve { problem, note } => (problem, "resolve", json!({"note": note})),
            Self::Reopen(Explained { problem, note }) => (problem, "reopen", json!({"note": note})),
            Self::Close(Noted { problem, note }) => (problem, "close", json!({"note": note})),
            Self::Cancel(Explained { problem, note }) => (problem, "cancel", json!({"note": note})),
            Self::Note { problem, note } => (problem, "note", json!({"note": note})),
        };
        let answer = client.post(&format!("/api/v1/problems/{problem}/{act}"), &body).await?;
        output::one(format, &answer, |problem| done(act, problem));
        Ok(())
    }
}

/// What an act came to, in a line.
fn done(act: &str, problem: &Value) -> String {
    let id = word(problem, "id");
    let incidents: Vec<&str> = list(problem, "incidents").iter().filter_map(Value::as_str).collect();
    match act {
        "note" => format!("{id}: noted.\n"),
        "assign" => format!("{id} is with {} now.\n", receiver(problem)),
        "join" | "split" => format!("{id} has {} now.\n", incidents.join(", ")),
        "merge" => format!("{id} is part of {} now.\n", word(problem, "merged_into")),
        "resolve" => format!("{id} is {} now.{}\n", word(problem, "state"), still_open(problem)),
        _ => format!("{id} is {} now.\n", word(problem, "state")),
    }
}

/// What a problem that is resolved waits for before it closes.
fn still_open(problem: &Value) -> String {
    match problem["incidents_open"].as_u64() {
        None | Some(0) => String::new(),
        Some(1) => " One of its incidents is still open; it does not close before that is over.".to_owned(),
        Some(open) => format!(" {open} of its incidents are still open; it does not close before they are over."),
    }
}

fn list<'a>(record: &'a Value, name: &str) -> &'a [Value] {
    record[name].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// What a person needs of a problem: what may be the cause and why, how to live with it, what stands in it.
fn card(problem: &Value) -> String {
    let (id, priority) = (word(problem, "id"), &problem["priority"]);
    let mut card = format!("{id}  P{priority}  {}  {}\n", word(problem, "state"), word(problem, "title"));
    let receiver = receiver(problem);
    if !receiver.is_empty() {
        card.push_str(&format!("  with {receiver}\n"));
    }
    if let Some(workaround) = problem["workaround"]["text"].as_str() {
        card.push_str(&format!("  workaround {workaround}\n"));
    }
    card.push_str("What may be the cause, likeliest first\n");
    for candidate in list(problem, "candidates") {
        let ci = candidate["ci"].as_str().map_or_else(String::new, |ci| format!("  {}", output::short(ci)));
        card.push_str(&format!("  {}{ci}\n", word(candidate, "what")));
        for reason in list(candidate, "reasons") {
            card.push_str(&format!("    {}\n", word(reason, "sentence")));
        }
    }
    if list(problem, "candidates").is_empty() {
        card.push_str("  nothing is known yet\n");
    }
    card.push_str("Incidents\n");
    for incident in list(problem, "incidents_in_short") {
        let (id, state) = (word(incident, "id"), word(incident, "state"));
        card.push_str(&format!("  {id}  P{}  {state}  {}\n", incident["priority"], word(incident, "title")));
    }
    card.push_str("Why they stand together\n");
    for link in list(problem, "links").iter().take(LINKS) {
        card.push_str(&format!("  {} and {}\n", word(link, "a"), word(link, "b")));
        for evidence in list(link, "evidence") {
            card.push_str(&format!("    {}\n", word(evidence, "sentence")));
        }
    }
    let mut days = Days::default();
    for entry in list(problem, "timeline") {
        let at = entry["at"].as_i64().unwrap_or_default();
        card.push_str(&days.turn(at));
        card.push_str(&format!("  {}  {}\n", clock(at), word(entry, "sentence")));
    }
    card
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolving_says_how_many_incidents_are_still_open() {
        let said = |open: u64| done("resolve", &json!({"id": "PRB-1", "state": "resolved", "incidents_open": open}));
        assert_eq!(said(0), "PRB-1 is resolved now.\n");
        assert_eq!(
            said(1),
            "PRB-1 is resolved now. One of its incidents is still open; it does not close before that is over.\n"
        );
        assert_eq!(
            said(30),
            "PRB-1 is resolved now. 30 of its incidents are still open; it does not close before they are over.\n"
        );
    }
}
