//! `watchkeep up` and `watchkeep serve`.

use std::net::SocketAddr;
use std::path::PathBuf;

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
