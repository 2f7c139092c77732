//! `watchkeep ci …`.

mod page;

use clap::Subcommand;
use serde_json::{Value, json};

use super::client::{Client, ClientError, segment};
use super::incidents::word;
use super::output::{self, Format, short_id, text};
use super::paging::Paging;
use super::{Failure, Outcome, exit};

/// How an item is named on the command line.
const NAMED: &str = "Its id or the first digits of it, CLASS:NAME@HOST, or a host's name";
/// Pages of relations that are read, 500 each.
const PAGES_MAX: usize = 20;

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
    #[command(
        after_help = "Examples:\n  watchkeep ci show web-1\n  watchkeep ci show 3f0c9a\n  watchkeep ci show service_unit:nginx.service@web-1"
    )]
    Show {
        #[arg(help = NAMED)]
        ci: String,
    },
    /// Every relation of it, by kind
    #[command(after_help = "Example:\n  watchkeep ci relations web-1")]
    Relations {
        #[arg(help = NAMED)]
        ci: String,
    },
    /// Set an attribute by hand
    #[command(
        after_help = "Example:\n  watchkeep ci set business_service:shop criticality=1 --note \"the shop earns our money\""
    )]
    Set {
        #[arg(help = NAMED)]
        ci: String,
        /// NAME=VALUE
        attribute: String,
        /// Why
        #[arg(long)]
        note: String,
    },
    /// Say that it depends on another item, or that it does not, whatever connections show
    #[command(
        group = clap::ArgGroup::new("verdict").required(true),
        after_help = "Example:\n  watchkeep ci relate web-1 depends_on service_unit:node-exporter.service@web-1 --deny --note \"only a monitor\""
    )]
    Relate {
        #[arg(help = NAMED)]
        ci: String,
        /// The relation
        #[arg(value_parser = ["depends_on"])]
        relation: String,
        /// The item that it is about, named in the same way
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
        /// Why
        #[arg(long)]
        note: String,
    },
    /// Take it out of service
    #[command(after_help = "Example:\n  watchkeep ci retire web-1 --note \"scrapped, ticket 4711\"")]
    Retire {
        #[arg(help = NAMED)]
        ci: String,
        /// Why
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
                    short_id("ID", "id"),
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
                let answer = whole(client, &ci).await?;
                output::one(format, &answer, card);
            }
            Self::Relations { ci } => {
                let (answer, more) = relations_of(client, &ci).await?;
                output::one(format, &answer, |answer| relations(answer, more));
            }
            Self::Set { ci, attribute, note } => {
                let (name, value) = attribute
                    .split_once('=')
                    .ok_or_else(|| Failure::new(exit::USAGE, format!("\"{attribute}\" is not NAME=VALUE")))?;
                let body = json!({"name": name, "value": value, "note": note});
                let answer = client.post(&format!("{}/set", path_of(&ci)), &body).await?;
                output::one(format, &answer, |ci| format!("{name} of {} is {value} now.\n", word(ci, "name")));
            }
            Self::Relate { ci, relation: _, other, pin, deny, forget: _, note } => {
                let (verdict, done) = match (pin, deny) {
                    (true, _) => ("pin", "is pinned"),
                    (_, true) => ("deny", "is denied"),
                    _ => ("forget", "is left to what connections show"),
                };
                let body = json!({"depends_on": other, "verdict": verdict, "note": note});
                let answer = client.post(&format!("{}/relate", path_of(&ci)), &body).await?;
                output::one(format, &answer, |said| {
                    format!(
                        "{} depends_on {}: that {done} now.\n",
                        word(&said["from"], "name"),
                        word(&said["to"], "name")
                    )
                });
            }
            Self::Retire { ci, note } => {
                let answer = client.post(&format!("{}/retire", path_of(&ci)), &json!({"note": note})).await?;
                output::one(format, &answer, |ci| format!("{} is {} now.\n", word(ci, "name"), word(ci, "lifecycle")));
            }
        }
        Ok(())
    }
}

/// The items that a person may name: an id or its beginning, `CLASS:NAME@HOST`, a host's name.
fn path_of(ci: &str) -> String {
    format!("/api/v1/cis/{}", segment(ci))
}

/// The item with its relations and its history, as one record.
async fn whole(client: &Client, ci: &str) -> Result<Value, ClientError> {
    let mut answer = client.get(&path_of(ci), &[]).await?;
    let id = word(&answer, "id").to_owned();
    let (relations, _) = relations_of(client, &id).await?;
    let history = client.get(&format!("{}/history", path_of(&id)), &[("limit", "200".to_owned())]).await?;
    answer["relations"] = relations["items"].clone();
    answer["history"] = history["items"].clone();
    Ok(answer)
}

/// All relations of an item, and whether there are more than are read.
async fn relations_of(client: &Client, ci: &str) -> Result<(Value, bool), ClientError> {
    let path = format!("{}/relations", path_of(ci));
    let mut answer = client.get(&path, &[("limit", "500".to_owned())]).await?;
    let mut items = items(&answer).to_vec();
    for _ in 1..PAGES_MAX {
        let Some(cursor) = answer["next"].as_str() else { break };
        let asked = [("limit", "500".to_owned()), ("cursor", cursor.to_owned())];
        answer = client.get(&path, &asked).await?;
        items.extend(answer["items"].as_array().cloned().unwrap_or_default());
    }
    let more = answer["next"].is_string();
    answer["items"] = items.into();
    Ok((answer, more))
}

fn items(answer: &Value) -> &[Value] {
    answer["items"].as_array().map_or(&[], Vec::as_slice)
}

fn card(ci: &Value) -> String {
    let list = |name: &str| ci[name].as_array().map_or(&[][..], Vec::as_slice);
    page::page(ci, list("relations"), list("history"), chrono::Utc::now().timestamp_millis())
}

/// What the item is, and every relation by kind.
fn relations(answer: &Value, more: bool) -> String {
    let this = &answer["ci"];
    let mut text = format!("{} {}  {}\n", word(this, "class"), word(this, "name"), word(this, "short"));
    text.push_str(&page::grouped(word(this, "id"), items(answer), usize::MAX));
    if more {
        text.push_str("There are more; the API gives all of them, page by page.\n");
    }
    text
}
