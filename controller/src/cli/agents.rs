//! `watchkeep agent …` and `watchkeep token …`.

use clap::Subcommand;
use serde_json::{Map, Value, json};

use super::Outcome;
use super::client::Client;
use super::incidents::word;
use super::output::{self, Format, ago, text};
use super::paging::Paging;

#[derive(Debug, Subcommand)]
pub enum Agents {
    /// Agents, and since when each is there or away
    List {
        #[command(flatten)]
        paging: Paging,
    },
    /// One agent
    Show { name: String },
    /// End its certificate and its session at once; the host must enrol again
    Revoke {
        name: String,
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
    Revoke { id: String },
}

fn label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("\"{text}\" is not NAME=VALUE"))?;
    Ok((name.to_owned(), value.to_owned()))
}

impl Agents {
    pub async fn run(self, client: &Client, format: Format) -> Outcome {
        match self {
            Self::List { paging } => {
                let answer = paging.list(client, "/api/v1/agents", &[]).await?;
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
                    "No agent is enrolled. Make a token for one: watchkeep agent token create",
                );
            }
            Self::Show { name } => {
                let answer = client.get(&format!("/api/v1/agents/{name}"), &[]).await?;
                output::one(format, &answer, output::card);
            }
            Self::Revoke { name, note } => {
                let answer = client.post(&format!("/api/v1/agents/{name}/revoke"), &json!({"note": note})).await?;
                output::one(format, &answer, |_| format!("{name} is revoked; its host must enrol again.\n"));
            }
            Self::Token(tokens) => return tokens.run(client, format).await,
        }
        Ok(())
    }
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
        /// viewer, operator or admin
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
    Revoke { id: String },
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
