//! `watchkeep-agent check-config`: every fault at once, or what is in force.

use std::path::PathBuf;

use clap::Args;

use super::Failure;
use crate::config::{AgentConfig, DEFAULT_FILE};

#[derive(Args, Debug)]
pub struct CheckConfig {
    /// The file to check [default: that of --config, else /etc/watchkeep/agent.yaml]
    file: Option<PathBuf>,
    /// Print the commented default file, which is the manual of every key
    #[arg(long, conflicts_with = "file")]
    default: bool,
}

impl CheckConfig {
    pub fn carry_out(self, config: Option<PathBuf>) -> Result<(), Failure> {
        if self.default {
            print!("{DEFAULT_FILE}");
            return Ok(());
        }
        let checked: AgentConfig = super::load(self.file.or(config))?;
        print!("{}", checked.to_yaml());
        Ok(())
    }
}
