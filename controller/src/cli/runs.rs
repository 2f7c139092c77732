//! `watchkeep runbook …`, `watchkeep run …` and `watchkeep stop-switch …`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::client::Client;
use super::incidents::word;
use super::output::{self, Format, ago, local, text};
use super::paging::Paging;
use super::{Failure, Outcome, exit, rules};

#[derive(Debug, Subcommand)]
pub enum Runbook {
    /// Find every fault of runbook files before anything runs; no controller is needed
    Check(CheckRunbooks),
    /// The runbooks in force
    List,
    /// Run one, or show with --dry-run each command as it would be signed
    #[command(
        after_help = "Examples:\n  watchkeep runbook run restart-service --agent web-3 -p unit=nginx.service --dry-run\n  watchkeep runbook run restart-service --incident INC-7 -p unit=nginx.service"
    )]
    Run(RunRunbook),
}

#[derive(Debug, Args)]
pub struct CheckRunbooks {
    /// Runbooks
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

impl CheckRunbooks {
    pub fn run(self, format: Format) -> Outcome {
        rules::check(&self.files, format)
    }
}

#[derive(Debug, Args)]
pub struct RunRunbook {
    /// As "watchkeep runbook list" names it
    name: String,
    /// The incident that it is to mend; its host is the target
    #[arg(long)]
    incident: Option<String>,
    /// The host, where there is no incident
    #[arg(long, conflicts_with = "incident")]
    agent: Option<String>,
    /// NAME=VALUE; repeatable. A number, true or false is taken as such, all else as text
    #[arg(short, long = "param", value_parser = parameter)]
    params: Vec<(String, Value)>,
    /// Plan only: send nothing
    #[arg(long)]
    dry_run: bool,
}

fn parameter(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("\"{text}\" is not NAME=VALUE"))?;
    let value = match serde_json::from_str(value) {
        Ok(value @ (Value::Number(_) | Value::Bool(_))) => value,
        _ => Value::String(value.to_owned()),
    };
    Ok((name.to_owned(), value))
}

impl Runbook {
    pub async fn run(self, client: &Client, format: Format) -> Outcome {
        match self {
            Self::Check(check) => check.run(format),
            Self::List => {
                let answer = client.get("/api/v1/runbooks", &[]).await?;
                let columns = [text("NAME", "name"), text("OWNER", "owner"), text("TITLE", "title")];
                output::list(
                    format,
                    &answer,
                    &columns,
                    "No runbook is in force. Packs bring some: packs: [{use: systemd}]",
                );
                Ok(())
            }
            Self::Run(run) => run.run(client, format).await,
        }
    }
}

impl RunRunbook {
    async fn run(self, client: &Client, format: Format) -> Outcome {
        let params: Map<String, Value> = self.params.into_iter().collect();
        let body = json!({"runbook": self.name, "incident": self.incident, "agent": self.agent, "params": params});
        if self.dry_run {
            let plan = client.post("/api/v1/runs/plan", &body).await?;
            output::one(format, &plan, |answer| plan_card(&answer["plan"], word(answer, "plan_hash")));
            return Ok(());
        }
        let run = client.post("/api/v1/runs", &body).await?;
        output::one(format, &run, |run| format!("{} is {}.\n", word(run, "id"), word(run, "state")));
        Ok(())
    }
}

fn plan_card(plan: &Value, hash: &str) -> String {
    let mut card = format!("{} on {}, plan {hash}\n", word(plan, "runbook"), word(plan, "agent"));
    for (place, step) in plan["steps"].as_array().into_iter().flatten().enumerate() {
        let rollback = if step["rollback"] == true { " (only if the run fails)" } else { "" };
        card.push_str(&format!(
            "  {}. {}{rollback}\n     {}\n",
            place + 1,
            word(step, "name"),
            action(&step["action"])
        ));
    }
    card
}

/// An action in one line, as a person would type it.
fn action(action: &Value) -> String {
    match word(action, "action") {
        "run" => {
            let words = action["argv"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let quoted = words.map(|word| if word.contains(' ') { format!("'{word}'") } else { word.to_owned() });
            quoted.collect::<Vec<_>>().join(" ")
        }
        "service" => format!("service {} {}", word(action, "name"), word(action, "state")),
        "wait_for" => {
            format!("wait for {} to hold {} s", word(action, "text"), action["held"].as_i64().unwrap_or(0) / 1_000)
        }
        _ => action.to_string(),
    }
}

#[derive(Debug, Subcommand)]
pub enum Runs {
    /// Runs, the newest first
    List {
        /// A state, as the list shows it; repeatable
        #[arg(long)]
        state: Vec<String>,
        #[command(flatten)]
        paging: Paging,
    },
    /// One run with its plan and journal
    Show {
        /// RUN-4, as "run list" names it
        run: String,
    },
    /// Let the plan with this hash go ahead
    Approve {
        /// RUN-4, as "run list" names it
        run: String,
        /// The hash that "run show" prints: what you approve
        #[arg(long)]
        plan: String,
    },
    /// Say no
    Reject {
        /// RUN-4, as "run list" names it
        run: String,
        /// A word for its timeline
        #[arg(long, default_value = "", hide_default_value = true)]
        note: String,
    },
    /// Send no further step
    Stop {
        /// RUN-4, as "run list" names it
        run: String,
        /// A word for its timeline
        #[arg(long, default_value = "", hide_default_value = true)]
        note: String,
    },
}

impl Runs {
    pub async fn run(self, client: &Client, format: Format) -> Outcome {
        let (run, act, body) = match self {
            Self::List { state, paging } => {
                let mut filter: Vec<(&str, String)> = Vec::new();
                filter.extend((!state.is_empty()).then(|| ("state", state.join(","))));
                let answer = paging.list(client, "/api/v1/runs", &filter).await?;
                let columns = [
                    text("ID", "id"),
                    text("RUNBOOK", "runbook"),
                    text("STATE", "state"),
                    text("HOST", "agent"),
                    text("INCIDENT", "incident"),
                    ago("AGE", "opened_at"),
                ];
                output::list(
                    format,
                    &answer,
                    &columns,
                    "No runbook has run. \"watchkeep runbook list\" shows what could.",
                );
                return Ok(());
            }
            Self::Show { run } => {
                let answer = client.get(&format!("/api/v1/runs/{run}"), &[]).await?;
                output::one(format, &answer, run_card);
                return Ok(());
            }
            Self::Approve { run, plan } => (run, "approve", json!({"plan_hash": plan})),
            Self::Reject { run, note } => (run, "reject", json!({"note": note})),
            Self::Stop { run, note } => (run, "stop", json!({"note": note})),
        };
        let answer = client.post(&format!("/api/v1/runs/{run}/{act}"), &body).await?;
        output::one(format, &answer, |run| format!("{} is {} now.\n", word(run, "id"), word(run, "state")));
        Ok(())
    }
}

fn run_card(run: &Value) -> String {
    let mut card = format!("{}  {}  {}\n", word(run, "id"), word(run, "state"), word(run, "title"));
    for (name, value) in [
        ("incident", word(run, "incident")),
        ("change", word(run, "change")),
        ("waits for", word(&run["waiting"]["reason"], "sentence")),
        ("approval", word(run, "approval_by")),
        ("approved", word(run, "approved_by")),
        ("outcome", word(&run["outcome"], "sentence")),
    ] {
        if !value.is_empty() {
            card.push_str(&format!("  {name:<10} {value}\n"));
        }
    }
    card.push_str(&plan_card(&run["plan"], word(run, "plan_hash")));
    card.push_str("Journal\n");
    for step in run["journal"].as_array().into_iter().flatten() {
        card.push_str(&journal_line(step));
    }
    card
}

/// When a step was sent, how it stands and why; below it what the host said, the first lines.
fn journal_line(step: &Value) -> String {
    let sent = step["sent_at"].as_i64().map_or_else(|| "not sent".to_owned(), local);
    let exit = step["exit"].as_i64().map(|exit| format!(", exit {exit}")).unwrap_or_default();
    let mut line = format!("  {sent}  {:<8} {}{exit}", word(step, "state"), word(step, "name"));
    if !word(step, "reason").is_empty() {
        line.push_str(&format!(": {}", word(step, "reason")));
    }
    line.push('\n');
    for said in word(step, "stdout").lines().chain(word(step, "stderr").lines()).take(20) {
        line.push_str(&format!("      {}\n", output::one_line(said, 200)));
    }
    line
}

#[derive(Debug, Subcommand)]
pub enum StopSwitch {
    /// No run starts and no step is sent any more
    On {
        /// Why
        #[arg(long)]
        note: String,
    },
    /// Let them go on
    Off {
        /// Why
        #[arg(long)]
        note: String,
    },
}

impl StopSwitch {
    pub async fn run(self, client: &Client, format: Format) -> Outcome {
        let (on, note) = match self {
            Self::On { note } => (true, note),
            Self::Off { note } => (false, note),
        };
        if note.trim().is_empty() {
            return Err(Failure::new(exit::USAGE, "--note is empty; say why, somebody will ask"));
        }
        let answer = client.post("/api/v1/stop-switch", &json!({"on": on, "note": note})).await?;
        output::one(format, &answer, |_| format!("The stop switch is {}.\n", if on { "on" } else { "off" }));
        Ok(())
    }
}
