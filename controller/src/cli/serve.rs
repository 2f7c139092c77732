//! `watchkeep up` and `watchkeep serve`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::{Failure, Outcome, exit};
use crate::controller::{self, DirInUse, Options};
use crate::core::committer::CoreError;
use crate::fleet::foreign::Address;
use crate::store::StoreError;
use crate::store::lease::Held;
use crate::up;

/// Where a controller listens and keeps things.
#[derive(Debug, Args)]
pub struct Where {
    /// The HTTP API; loopback unless you say otherwise
    #[arg(long, default_value = "127.0.0.1:8420")]
    listen: SocketAddr,
    /// Agents' MQTT over TLS
    #[arg(long, default_value = "127.0.0.1:8883")]
    mqtt_listen: SocketAddr,
    /// Where hosts enrol, HTTPS
    #[arg(long, default_value = "127.0.0.1:8421")]
    enrol_listen: SocketAddr,
    /// A broker of another make to reach agents through, mqtts://HOST:PORT; instead of --mqtt-listen
    #[arg(long, env = "WATCHKEEP_BROKER", conflicts_with = "mqtt_listen")]
    broker: Option<Address>,
    /// With --broker: the CA of its certificate, PEM; without it the controller's own
    #[arg(long, requires = "broker")]
    broker_ca: Option<PathBuf>,
    /// A PostgreSQL address (postgres://…); without it a SQLite file in the data directory
    #[arg(long)]
    database: Option<String>,
    /// A name or address under which agents reach this host; repeatable, the first is told to those that enrol
    #[arg(long = "name")]
    names: Vec<String>,
    /// Decide in place of a controller that holds the lease of this database, and is not known to be dead; it ends by itself
    #[arg(long)]
    take_over: bool,
    /// How long agents' certificates live, as 90d or 12h: they renew them before a third of it is left
    #[arg(long, value_name = "TIME", default_value = "1825d", value_parser = life)]
    agent_certificate_life: Duration,
}

impl Where {
    fn options(self, data: PathBuf) -> Options {
        Options {
            data,
            listen: self.listen,
            mqtt_listen: self.mqtt_listen,
            enrol_listen: self.enrol_listen,
            broker: self.broker,
            broker_ca: self.broker_ca,
            database: self.database,
            names: self.names,
            take_over: self.take_over,
            agent_certificate_life: self.agent_certificate_life,
        }
    }
}

/// Start a controller and an agent for this host, and go on from what is there.
///
/// Everything stays on loopback. The data directory keeps the configuration, the database and the keys; a second "up" goes on
/// from them. Ctrl-C stops all of it.
#[derive(Debug, Args)]
pub struct Up {
    /// Where everything is kept [default: $XDG_DATA_HOME/watchkeep or ~/.local/share/watchkeep]
    #[arg(long)]
    data: Option<PathBuf>,
    #[command(flatten)]
    at: Where,
}

/// Run a controller.
#[derive(Debug, Args)]
pub struct Serve {
    /// Where everything is kept
    #[arg(long, default_value = "/var/lib/watchkeep")]
    data: PathBuf,
    #[command(flatten)]
    at: Where,
}

/// Another controller in the way has an exit code of its own, so that whoever starts this one again can tell.
fn failure(error: &anyhow::Error) -> Failure {
    let is_held = error.chain().any(|cause| {
        cause.is::<DirInUse>()
            || cause.is::<Held>()
            || matches!(cause.downcast_ref::<CoreError>(), Some(CoreError::Held(_)))
            || matches!(cause.downcast_ref::<StoreError>(), Some(StoreError::Held(_)))
    });
    if is_held { Failure::new(exit::HELD, format!("{error:#}")) } else { Failure::environment(error) }
}

impl Up {
    pub fn run(self) -> Outcome {
        let data = self.data.map_or_else(up::default_data, Ok);
        let ran = data.and_then(|data| up::run(self.at.options(data)));
        ran.map_err(|error| failure(&error))
    }
}

impl Serve {
    pub fn run(self) -> Outcome {
        controller::serve(self.at.options(self.data)).map_err(|error| failure(&error))
    }
}

/// A whole number with `s`, `m`, `h` or `d`; a second to twenty years, which is what the CA lives.
fn life(text: &str) -> Result<Duration, String> {
    const LONGEST_SECS: u64 = 20 * 365 * 86_400;
    let wrong = || format!("\"{text}\" is no time from 1s to 7300d; write for example 90d or 12h");
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let unit_secs = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let secs = number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit_secs));
    secs.filter(|secs| (1..=LONGEST_SECS).contains(secs)).map(Duration::from_secs).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_s_life_has_a_unit_and_bounds() {
        for (text, secs) in [("1s", 1), ("90d", 7_776_000), ("12h", 43_200), ("7300d", 630_720_000)] {
            assert_eq!(life(text), Ok(Duration::from_secs(secs)));
        }
        for text in ["", "0s", "5", "d", "1y", "-1d", "7301d", "99999999999999999999d", "1ä"] {
            assert!(life(text).is_err_and(|error| error.contains("90d or 12h")), "{text}");
        }
    }
}
