//! `watchkeep rules …`, `watchkeep schema` and `watchkeep reload`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;
use watchkeep_rules::{Faults, explain, lint, load, schema, test};

use super::client::Client;
use super::judge::DeskJudge;
use super::output::{self, Format};
use super::{Failure, Outcome, exit};

#[derive(Debug, Subcommand)]
pub enum Rules {
    /// Say every fault of these files, with file, line, column and a near word
    #[command(after_help = "A directory stands for all .yaml files in it. Exit 1: there are faults.")]
    Check {
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Say of each rule over samples whether it runs for each host by itself or over all, why, and what it reads
    #[command(
        after_help = "A directory stands for all .yaml files in it. A rule of one host is judged with each report, one \
                      across hosts at its group's interval. Exit 1: there are faults."
    )]
    Explain {
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Run tests of rules and runbooks: what fires, which incidents open, which steps would be sent
    #[command(after_help = "A directory stands for all test files below it. Exit 1: a test failed or has a fault.")]
    Test {
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

impl Rules {
    pub fn run(self, format: Format) -> Outcome {
        match self {
            Self::Check { files } => check(&files, format),
            Self::Explain { files } => explain_rules(&files, format),
            Self::Test { files } => run_tests(&files, format),
        }
    }
}

fn run_tests(files: &[PathBuf], format: Format) -> Outcome {
    let report = test::run(files, Some(&mut DeskJudge));
    match format {
        Format::Table => output::say(&format!("{report}\n")),
        Format::Json | Format::Yaml => output::print_json(&json!(report)),
    }
    if report.passed() { Ok(()) } else { Err(Failure::said(exit::FOUND_WANTING)) }
}

fn explain_rules(files: &[PathBuf], format: Format) -> Outcome {
    let book =
        load::read_files(files).and_then(|files| load::check(&files)).map_err(|faults| found(&faults, format))?;
    let explained = explain::explain(&book).map_err(|wrong| Failure::new(exit::FOUND_WANTING, wrong))?;
    output::one(format, &json!(explained), |_| format!("{explained}\n"));
    Ok(())
}

/// Checks rule files and runbooks together; they may use runbooks that ship.
pub fn check(files: &[PathBuf], format: Format) -> Outcome {
    let checked = load::read_files(files).and_then(|files| Ok(lint::checked(&files, &load::check(&files)?)));
    let checked = checked.map_err(|faults| found(&faults, format))?;
    output::one(format, &json!(checked), |_| format!("{checked}\n"));
    Ok(())
}

/// Says the faults.
fn found(faults: &Faults, format: Format) -> Failure {
    match format {
        Format::Table => eprintln!("{faults}"),
        Format::Json | Format::Yaml => output::print_json(&json!({"faults": faults})),
    }
    Failure::said(exit::FOUND_WANTING)
}

/// The JSON Schema of a kind of file, for editors.
#[derive(Debug, Args)]
pub struct Schema {
    /// rules, runbook or tests
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
