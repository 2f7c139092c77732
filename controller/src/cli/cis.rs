//! `watchkeep ci …`.

use clap::Subcommand;
use serde_json::{Value, json};

use super::client::Client;
use super::incidents::word;
use super::output::{self, Format, text};
use super::paging::Paging;
use super::{Failure, Outcome, exit};

#[derive(Debug, Subcommand)]
pub enum Cis {
    /// Configuration items
    #[command(
        after_help = "Examples:\n  watchkeep ci list --class host\n  watchkeep ci list --class software_package --search openssl"
    )]
    List {
        /// host, operating_system, software_package, service_unit, process, listening_endpoint …
        #[arg(long)]
        class: Option<String>,
        /// Words in the name
        #[arg(long)]
        search: Option<String>,
        /// The host that it is on
        #[arg(long)]
        agent: Option<String>,
        #[command(flatten)]
        paging: Paging,
    },
    /// One item: attributes, relations, history
    Show { ci: String },
    /// What stands in relation to it
    Relations { ci: String },
    /// Set an attribute by hand
    #[command(after_help = "Example:\n  watchkeep ci set 3f0c… criticality=1 --note \"the shop earns our money\"")]
    Set {
        ci: String,
        /// NAME=VALUE
        attribute: String,
        #[arg(long)]
        note: String,
    },
    /// Say that it depends on another item, or that it does not, whatever connections show
    #[command(
        group = clap::ArgGroup::new("verdict").required(true),
        after_help = "Example:\n  watchkeep ci relate 3f0c… depends_on 91ab… --deny --note \"only a monitor\""
    )]
    Relate {
        ci: String,
        #[arg(value_parser = ["depends_on"])]
        relation: String,
        other: String,
        /// It does
        #[arg(long, group = "verdict")]
        pin: bool,
        /// It does not
        #[arg(long, group = "verdict")]
        deny: bool,
        /// Take back what was said by hand
        #[arg(long, group = "verdict")]
        forget: bool,
        #[arg(long)]
        note: String,
    },
    /// Take it out of service
    Retire {
        ci: String,
        #[arg(long)]
        note: String,
    },
}

impl Cis {
    pub async fn run(self, client: &Client, format: Format) -> Outcome {
        match self {
            Self::List { class, search, agent, paging } => {
                let mut filter: Vec<(&str, String)> = Vec::new();
                filter.extend(class.map(|class| ("class", class)));
                filter.extend(search.map(|words| ("search", words)));
                filter.extend(agent.map(|agent| ("agent", agent)));
                let answer = paging.list(client, "/api/v1/cis", &filter).await?;
                let columns = [
                    text("ID", "id"),
                    text("CLASS", "class"),
                    text("NAME", "name"),
                    text("HOST", "agent"),
                    text("LIFECYCLE", "lifecycle"),
                ];
                output::list(
                    format,
                    &answer,
                    &columns,
                    "No such item. The inventory fills itself once an agent is enrolled.",
                );
            }
            Self::Show { ci } => {
                let answer = client.get(&format!("/api/v1/cis/{ci}"), &[]).await?;
                output::one(format, &answer, output::card);
            }
            Self::Relations { ci } => {
                let answer = client.get(&format!("/api/v1/cis/{ci}/relations"), &[]).await?;
                output::one(format, &answer, relations);
            }
            Self::Set { ci, attribute, note } => {
                let (name, value) = attribute
                    .split_once('=')
                    .ok_or_else(|| Failure::new(exit::USAGE, format!("\"{attribute}\" is not NAME=VALUE")))?;
                let body = json!({"name": name, "value": value, "note": note});
                let answer = client.post(&format!("/api/v1/cis/{ci}/set"), &body).await?;
                output::one(format, &answer, |ci| format!("{name} of {} is {value} now.\n", word(ci, "name")));
            }
            Self::Relate { ci, relation: _, other, pin, deny, forget: _, note } => {
                let (verdict, done) = match (pin, deny) {
                    (true, _) => ("pin", "is pinned"),
                    (_, true) => ("deny", "is denied"),
                    _ => ("forget", "is left to what connections show"),
                };
                let body = json!({"depends_on": other, "verdict": verdict, "note": note});
                let answer = client.post(&format!("/api/v1/cis/{ci}/relate"), &body).await?;
                output::one(format, &answer, |said| {
                    format!(
                        "{} depends_on {}: that {done} now.\n",
                        word(&said["from"], "name"),
                        word(&said["to"], "name")
                    )
                });
            }
            Self::Retire { ci, note } => {
                let answer = client.post(&format!("/api/v1/cis/{ci}/retire"), &json!({"note": note})).await?;
                output::one(format, &answer, |ci| format!("{} is {} now.\n", word(ci, "name"), word(ci, "lifecycle")));
            }
        }
        Ok(())
    }
}

/// What people said of a relation, and whether it is still seen.
fn standing(relation: &Value) -> String {
    let verdict = relation["verdict"].as_str().map(|verdict| format!(" ({verdict} by hand)"));
    let unseen = relation["unseen_since"].as_i64().filter(|_| relation["valid_to"].is_null());
    let unseen = unseen.map(|since| format!(" (not seen since {})", output::local(since)));
    verdict.into_iter().chain(unseen).collect()
}

/// `listens_on → listening_endpoint tcp/0.0.0.0:80`, one a line, seen from the item.
fn relations(answer: &Value) -> String {
    let this = &answer["ci"];
    let line = |relation: &Value| {
        let way = if relation["to"] == this["id"] { "←" } else { "→" };
        let other = &relation["other"];
        let (class, name) = (word(other, "class"), word(other, "name"));
        format!("  {} {way} {class} {name}{}\n", word(relation, "kind"), standing(relation))
    };
    let head = format!("{} {}\n", word(this, "class"), word(this, "name"));
    std::iter::once(head).chain(answer["items"].as_array().into_iter().flatten().map(line)).collect()
}
