//! `watchkeep rules test`: tests of rules and runbooks.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use watchkeep_rules::test;

use crate::cli::judge::DeskJudge;
use crate::cli::output::{self, Format};
use crate::cli::{Failure, Outcome, exit};

#[derive(Debug, Args)]
#[command(after_help = "A directory stands for all test files below it. Exit 1: a test failed or has a fault.")]
pub struct Test {
    /// Test files, or directories of them
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Say which rules no test asks of, which of firing, staying quiet and resolving was never asserted, and which side of an
    /// 'or' never gave anything
    #[arg(long)]
    coverage: bool,
    /// Write the report as JUnit's XML, too, for build servers
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

impl Test {
    pub fn run(self, format: Format) -> Outcome {
        let report = test::run(&self.files, Some(&mut DeskJudge));
        if let Some(path) = &self.junit {
            std::fs::write(path, test::junit(&report)).map_err(|error| {
                Failure::new(exit::USAGE, format!("--junit: \"{}\" cannot be written: {error}", path.display()))
            })?;
        }
        let coverage = self.coverage.then(|| report.coverage());
        match format {
            Format::Table => {
                let coverage = coverage.map(|coverage| format!("\n{coverage}")).unwrap_or_default();
                output::say(&format!("{report}\n{coverage}"));
            }
            Format::Json | Format::Yaml => {
                let mut shown = json!(report);
                if let Some(coverage) = coverage {
                    shown["coverage"] = json!(coverage);
                }
                output::print_json(&shown);
            }
        }
        if report.passed() { Ok(()) } else { Err(Failure::said(exit::FOUND_WANTING)) }
    }
}
