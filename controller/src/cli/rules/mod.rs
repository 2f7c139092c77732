//! `watchkeep rules …`: what authors of rules ask; a command a file.

mod check;
mod fmt;
mod knowledge;
mod replay;
mod test;

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;
use watchkeep_rules::fault::Fault;
use watchkeep_rules::{Faults, explain, load};

pub use check::check;

use crate::cli::output::{self, Format};
use crate::cli::{Failure, Outcome, exit};

#[derive(Debug, Subcommand)]
pub enum Rules {
    /// Say every fault of these files, with file, line, column and a near word
    Check(check::Check),
    /// Say of each rule over samples whether it runs for each host by itself or over all, why, and what it reads
    #[command(
        after_help = "A directory stands for all .yaml files in it. A rule of one host is judged with each report, one \
                      across hosts at its group's interval. Exit 1: there are faults."
    )]
    Explain {
        /// Rule files and runbooks
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Set rule files out in their one form: order, spaces, quotes, long expressions
    Fmt(fmt::Fmt),
    /// Pages for people on what the shipped rules tell: what it means, what to look at, what mends it
    Knowledge(knowledge::Knowledge),
    /// Say what rules would have done on the samples of the last days: which alerts, from when to when, and which incidents
    Replay(replay::Replayed),
    /// Run tests of rules and runbooks: what fires, which incidents open, which steps would be sent
    Test(test::Test),
}

impl Rules {
    pub fn run(self, format: Format) -> Outcome {
        match self {
            Self::Check(check) => check.run(format),
            Self::Explain { files } => explain_rules(&files, format),
            Self::Fmt(fmt) => fmt.run(format),
            Self::Knowledge(knowledge) => knowledge.run(format),
            Self::Replay(replay) => replay.run(format),
            Self::Test(test) => test.run(format),
        }
    }
}

fn explain_rules(files: &[PathBuf], format: Format) -> Outcome {
    let book =
        load::read_files(files).and_then(|files| load::check(&files)).map_err(|faults| found(&faults, format))?;
    let explained = explain::explain(&book).map_err(|wrong| Failure::new(exit::FOUND_WANTING, wrong))?;
    output::one(format, &json!(explained), |_| format!("{explained}\n"));
    Ok(())
}

/// Says the faults.
fn found(faults: &Faults, format: Format) -> Failure {
    match format {
        Format::Table => eprintln!("{faults}"),
        Format::Json | Format::Yaml => output::one(format, &json!({"faults": faults}), |_| String::new()),
    }
    // Where nothing but a file could not be read, no file was found wanting.
    let is_unreadable = !faults.faults.is_empty() && faults.faults.iter().all(Fault::is_unreadable);
    Failure::said(if is_unreadable { exit::ENVIRONMENT } else { exit::FOUND_WANTING })
}
