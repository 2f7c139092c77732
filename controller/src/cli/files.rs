//! `watchkeep schema` and `watchkeep reload`.

use clap::Args;
use serde_json::json;
use watchkeep_rules::schema;

use super::client::Client;
use super::output::{self, Format};
use super::{Failure, Outcome, exit};

/// The JSON Schema of a kind of file, for editors.
#[derive(Debug, Args)]
pub struct Schema {
    /// Of which kind
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(schema::KINDS))]
    kind: String,
}

impl Schema {
    pub fn run(self) -> Outcome {
        match schema::schema(&self.kind) {
            Some(schema) => {
                output::print_json(&schema);
                Ok(())
            }
            None => {
                let known = schema::KINDS.join(", ");
                Err(Failure::new(exit::USAGE, format!("there is no schema \"{}\"; there are {known}", self.kind)))
            }
        }
    }
}

/// Asks the controller to take its configuration directory up.
pub async fn reload(client: &Client, format: Format) -> Outcome {
    let answer = client.post("/api/v1/reload", &json!({})).await?;
    output::one(format, &answer, |answer| {
        let hash = answer["generation"].as_str().unwrap_or_default();
        let short = hash.get(..12).unwrap_or(hash);
        match answer["changed"] == true {
            true => format!("generation {short} is in force\n"),
            false => format!("nothing changed: generation {short} is in force\n"),
        }
    });
    Ok(())
}
