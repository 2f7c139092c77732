//! `watchkeep-agent enroll`: from a token to an identity.

use std::io::Read as _;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use watchkeep_protocol::token::Token;

use super::Failure;
use crate::config::AgentConfig;
use crate::enrol::{Places, enrol};
use crate::root::Root;

/// A token is some 200 bytes.
const TOKEN_BYTES_MAX: u64 = 64 << 10;

#[derive(Args, Debug)]
pub struct Enroll {
    /// The token from the controller; others on this host may read it here, --token-file hides it
    #[arg(conflicts_with = "token_file", required_unless_present = "token_file")]
    token: Option<String>,
    /// A file with the token; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The agent's name: unique in the fleet, lower-case letters, digits, dots and hyphens [default: the host's name]
    #[arg(long)]
    name: Option<String>,
    /// The privileged helper's own directory, which learns whose commands to obey
    #[arg(long, value_name = "DIR", default_value = "/var/lib/watchkeep-act")]
    act_state: PathBuf,
    /// Tell the helper nothing: nothing may ever be done to this host
    #[arg(long)]
    without_act: bool,
}

impl Enroll {
    pub fn carry_out(self, config: &AgentConfig) -> Result<(), Failure> {
        let enrolled = self.enrol(config).map_err(Failure::Enrolment)?;
        let name = &enrolled.identity.name;
        if enrolled.fresh {
            println!("This host is enrolled as \"{name}\"; its controller's broker is {}.", enrolled.identity.broker);
        } else {
            println!("This host was enrolled already, as \"{name}\"; nothing was changed.");
        }
        Ok(())
    }

    fn enrol(self, config: &AgentConfig) -> anyhow::Result<crate::enrol::Enrolled> {
        let token = Token::parse(&self.token()?)?;
        let name = match self.name {
            Some(name) => name,
            None => {
                let hostname = Root::default().line("proc/sys/kernel/hostname").unwrap_or_default();
                hostname.to_ascii_lowercase().replace('_', "-")
            }
        };
        let act = (!self.without_act).then_some(self.act_state.as_path());
        Ok(enrol(&token, &name, Places { state: &config.paths.state, act })?)
    }

    fn token(&self) -> anyhow::Result<String> {
        let Some(path) = &self.token_file else { return Ok(self.token.clone().unwrap_or_default()) };
        let from: Box<dyn std::io::Read> = if path.as_os_str() == "-" {
            Box::new(std::io::stdin())
        } else {
            Box::new(std::fs::File::open(path).with_context(|| format!("open the token file \"{}\"", path.display()))?)
        };
        let mut text = String::new();
        from.take(TOKEN_BYTES_MAX)
            .read_to_string(&mut text)
            .with_context(|| format!("read the token file \"{}\"", path.display()))?;
        Ok(text)
    }
}
