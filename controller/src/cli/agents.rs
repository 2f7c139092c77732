//! `watchkeep agent …` and `watchkeep token …`.

use clap::Subcommand;
use serde_json::{Map, Value, json};

use super::client::{Client, segment};
use super::incidents::word;
use super::output::{self, Format, ago, text};
use super::paging::Paging;
use super::{Outcome, screen, why};

/// Lines of its story that an agent's page tells, the newest.
const TURNS: usize = 20;

#[derive(Debug, Subcommand)]
pub enum Agents {
    /// Agents, and since when each is there or away
    List {
        /// connected, away or revoked
        #[arg(long, value_parser = ["connected", "away", "revoked"])]
        standing: Option<String>,
        /// Words in the name
        #[arg(long)]
        search: Option<String>,
        #[command(flatten)]
        paging: Paging,
    },
    /// One agent: whether it is there, what it may do, when it came and went
    #[command(after_help = "Example:\n  watchkeep agent show web-1")]
    Show {
        /// As "agent list" names it
        name: String,
    },
    /// How one agent does, in its own figures, and what to do about what is wrong
    #[command(after_help = "Example:\n  watchkeep agent diagnose web-1")]
    Diagnose {
        /// As "agent list" names it
        name: String,
    },
    /// End its certificate and its session at once; the host must enrol again
    #[command(after_help = "Example:\n  watchkeep agent revoke web-1 --note \"the machine was stolen\"")]
    Revoke {
        /// As "agent list" names it
        name: String,
        /// Why
        #[arg(long)]
        note: String,
    },
    /// Tokens that enrol new hosts
    #[command(subcommand)]
    Token(EnrolmentTokens),
}

#[derive(Debug, Subcommand)]
pub enum EnrolmentTokens {
    /// Make one; it is shown once
    #[command(
        after_help = "Then on the host: watchkeep-agent enroll --token-file FILE\nExample: watchkeep agent token create --label environment=production --uses 20 --expires 1d"
    )]
    Create {
        /// NAME=VALUE: a label that every host enrolled with it gets; repeatable
        #[arg(long, value_parser = label)]
        label: Vec<(String, String)>,
        /// How many hosts may enrol with it
        #[arg(long, default_value_t = 1)]
        uses: u32,
        /// For how long: 30m, 1h, 2d
        #[arg(long, default_value = "1h")]
        expires: String,
    },
    /// Those that were made, the newest first
    List {
        #[command(flatten)]
        paging: Paging,
    },
    /// Withdraw one; hosts that enrolled with it stay
    Revoke {
        /// As "agent token list" names it
        id: String,
    },
}

fn label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("\"{text}\" is not NAME=VALUE"))?;
    Ok((name.to_owned(), value.to_owned()))
}

impl Agents {
    pub async fn run(self, client: &Client, format: Format) -> Outcome {
        match self {
            Self::List { standing, search, paging } => {
                let mut filter: Vec<(&str, String)> = Vec::new();
                filter.extend(standing.map(|standing| ("standing", standing)));
                filter.extend(search.map(|words| ("search", words)));
                let answer = paging.list(client, "/api/v1/agents", &filter).await?;
                let columns = [
                    text("NAME", "name"),
                    text("STANDING", "standing"),
                    ago("SINCE", "since"),
                    text("AWAY", "lost"),
                    text("VERSION", "version"),
                    text("LABELS", "labels"),
                ];
                output::list(
                    format,
                    &answer,
                    &columns,
                    if filter.is_empty() {
                        "No agent is enrolled. Make a token for one: watchkeep agent token create"
                    } else {
                        "No such agent."
                    },
                );
            }
            Self::Show { name } => {
                let path = format!("/api/v1/agents/{}", segment(&name));
                let mut answer = client.get(&path, &[]).await?;
                answer["story"] = client.get(&format!("{path}/why"), &[]).await?;
                let now = chrono::Utc::now().timestamp_millis();
                output::one(format, &answer, |agent| card(agent, now, screen::width()));
            }
            Self::Diagnose { name } => return super::fleet::diagnose(client, format, &name).await,
            Self::Revoke { name, note } => {
                let answer =
                    client.post(&format!("/api/v1/agents/{}/revoke", segment(&name)), &json!({"note": note})).await?;
                output::one(format, &answer, |_| format!("{name} is revoked; its host must enrol again.\n"));
            }
            Self::Token(tokens) => return tokens.run(client, format).await,
        }
        Ok(())
    }
}

/// Whether it is there, what it is, and its last comings and goings.
fn card(agent: &Value, now: i64, width: usize) -> String {
    let mut text = format!("{}  {}", word(agent, "name"), word(agent, "standing"));
    if let Some(since) = agent["since"].as_i64() {
        text.push_str(&format!(" for {}, since {}", output::age(now - since), output::local(since)));
    }
    text.push('\n');
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            text.push_str(&screen::behind(&format!("  {name:<12} "), &value, width));
        }
    };
    line("away as", word(agent, "lost").replace('_', " "));
    line("version", word(agent, "version").to_owned());
    let labels = agent["labels"].as_object().filter(|labels| !labels.is_empty());
    line("labels", labels.map(output::selector).unwrap_or_default());
    let host =
        agent["ci"].as_str().map(|ci| format!("{}: watchkeep ci show {}", output::short(ci), word(agent, "name")));
    line("host", host.unwrap_or_default());
    line("certificate", word(agent, "serial").to_owned());
    line("session", word(agent, "session").to_owned());
    if agent["cannot_act"] == true {
        line("commands", "nobody on the host carries any out".to_owned());
    }
    let story = &agent["story"];
    let all = story["lines"].as_array().map_or(&[][..], Vec::as_slice);
    let last = json!({"agent": agent["name"], "lines": &all[all.len().saturating_sub(TURNS)..]});
    text.push_str(&why::lines(&last, width));
    text
}

impl EnrolmentTokens {
    async fn run(self, client: &Client, format: Format) -> Outcome {
        match self {
            Self::Create { label, uses, expires } => {
                let labels: Map<String, Value> = label.into_iter().map(|(name, value)| (name, value.into())).collect();
                let body = json!({"labels": labels, "uses": uses, "expires": expires});
                let answer = client.post("/api/v1/enrolment-tokens", &body).await?;
                output::one(format, &answer, |answer| format!("{}\n", word(answer, "token")));
            }
            Self::List { paging } => {
                let answer = paging.list(client, "/api/v1/enrolment-tokens", &[]).await?;
                let columns = [
                    text("ID", "id"),
                    text("USES", "uses"),
                    text("OF", "uses_max"),
                    ago("AGE", "created_at"),
                    text("BY", "created_by"),
                ];
                output::list(format, &answer, &columns, "No token. Make one: watchkeep agent token create");
            }
            Self::Revoke { id } => {
                client.delete(&format!("/api/v1/enrolment-tokens/{id}")).await?;
                output::say(&format!("{id} enrols nobody any more.\n"));
            }
        }
        Ok(())
    }
}

#[derive(Debug, Subcommand)]
pub enum Tokens {
    /// Make one; it is shown once
    Create {
        /// Whose it is
        name: String,
        /// viewer, responder, operator or admin
        #[arg(long, default_value = "viewer")]
        role: String,
        /// For how long: 30d; without it, until revoked
        #[arg(long)]
        expires: Option<String>,
    },
    /// Those that were made, the newest first; the secret of none is shown
    List {
        #[command(flatten)]
        paging: Paging,
    },
    /// End one at once
    Revoke {
        /// As "token list" names it
        id: String,
    },
}

impl Tokens {
    pub async fn run(self, client: &Client, format: Format) -> Outcome {
        match self {
            Self::Create { name, role, expires } => {
                let body = json!({"name": name, "role": role, "expires": expires});
                let answer = client.post("/api/v1/api-tokens", &body).await?;
                output::one(format, &answer, |answer| format!("{}\n", word(answer, "token")));
            }
            Self::List { paging } => {
                let answer = paging.list(client, "/api/v1/api-tokens", &[]).await?;
                let columns = [
                    text("ID", "id"),
                    text("NAME", "name"),
                    text("ROLE", "role"),
                    ago("AGE", "created_at"),
                    ago("USED", "last_used_at"),
                ];
                output::list(format, &answer, &columns, "No token. Make one: watchkeep token create NAME");
            }
            Self::Revoke { id } => {
                client.delete(&format!("/api/v1/api-tokens/{id}")).await?;
                output::say(&format!("{id} opens nothing any more.\n"));
            }
        }
        Ok(())
    }
}
