//! `watchkeep up` and `watchkeep serve`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use super::{Failure, Outcome};
use crate::controller::{self, Options};
use crate::fleet::foreign::Address;
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

impl Up {
    pub fn run(self) -> Outcome {
        let data = self.data.map_or_else(up::default_data, Ok);
        let ran = data.and_then(|data| up::run(self.at.options(data)));
        ran.map_err(|error| Failure::environment(&error))
    }
}

impl Serve {
    pub fn run(self) -> Outcome {
        controller::serve(self.at.options(self.data)).map_err(|error| Failure::environment(&error))
    }
}
