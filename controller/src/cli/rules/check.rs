//! `watchkeep rules check`: faults, and what is probably not meant.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use watchkeep_rules::lint::{self, LINTS, Lint, Metrics, Settings};
use watchkeep_rules::{duration, load};

use super::found;
use crate::cli::client::Client;
use crate::cli::output::{self, Format};
use crate::cli::{Failure, Outcome, exit};

/// How long a controller is asked for the names of metrics before the check goes on without them.
const ASKED_FOR: Duration = Duration::from_secs(3);

#[derive(Debug, Args)]
#[command(after_help = lints_explained())]
pub struct Check {
    /// Rule files and runbooks
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The lints that look, with commas between, or all, or none
    #[arg(long, value_name = "LINTS", default_value = "all", value_parser = Settings::named)]
    lint: BTreeSet<Lint>,
    /// Exit 1 for warnings, too
    #[arg(long)]
    lint_fatal: bool,
    /// How far samples are apart
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = interval)]
    interval: i64,
    /// Ask no controller which metrics hosts report; metrics are then compared with those of the agent
    #[arg(long)]
    offline: bool,
}

fn lints_explained() -> String {
    let lints = LINTS.iter().map(|(_, name, what)| format!("  {name:18} {what}\n"));
    format!(
        "A directory stands for all .yaml files in it. Exit 1: there are faults.\n\nLints:\n{}\n\
         To keep what a lint warns of, write above the rule, or above the file's first key for all of it:\n  \
         # watchkeep:allow LINT: why it is right here",
        lints.collect::<String>()
    )
}

fn interval(text: &str) -> Result<i64, String> {
    match duration::parse(text)? {
        0 => Err("this must be longer than 0".to_owned()),
        ms => Ok(ms),
    }
}

impl Check {
    pub fn run(self, format: Format) -> Outcome {
        let asks = !self.offline && self.lint.contains(&Lint::UnknownMetric);
        let reported = if asks { reported() } else { None };
        let metrics = reported.map_or(Metrics::OfAgent, Metrics::Reported);
        let settings = Settings { interval: self.interval, metrics, lints: self.lint };
        check_with(&self.files, format, &settings, self.lint_fatal)
    }
}

/// Checks rule files and runbooks together, by every lint and without a controller; they may use runbooks that ship.
pub fn check(files: &[PathBuf], format: Format) -> Outcome {
    check_with(files, format, &Settings::default(), false)
}

fn check_with(files: &[PathBuf], format: Format, settings: &Settings, fatal: bool) -> Outcome {
    let checked = load::read_files(files).and_then(|files| Ok(lint::checked(&files, &load::check(&files)?, settings)));
    let checked = checked.map_err(|faults| found(&faults, format))?;
    output::one(format, &json!(checked), |_| format!("{checked}\n"));
    if fatal && !checked.warnings.is_empty() { Err(Failure::said(exit::FOUND_WANTING)) } else { Ok(()) }
}

/// The names of all series of the controller that the command line knows; none where there is none, it does not answer, or it
/// has heard of no host yet.
fn reported() -> Option<BTreeSet<String>> {
    let client = Client::connect().ok()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let asked = client.get("/prometheus/api/v1/label/__name__/values", &[]);
    let answer = runtime.block_on(async { tokio::time::timeout(ASKED_FOR, asked).await }).ok()?.ok()?;
    let names = answer["data"].as_array()?.iter().filter_map(Value::as_str);
    let names: BTreeSet<String> = names.map(str::to_owned).collect();
    (!names.is_empty()).then_some(names)
}
