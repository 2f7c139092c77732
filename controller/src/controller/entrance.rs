//! Where hosts enrol, and under which name they reach what listens here.

use std::net::SocketAddr;
use std::sync::Arc;

use watchkeep_desk::InputBody;

use super::Options;
use super::build::Identity;
use crate::access::certificates;
use crate::brokers::Reached;
use crate::core::handle::Handle;
use crate::fleet::enrol::{self, EnrolConfig, EnrolHandle, Given, Office};
use crate::store::Database;

/// Listens for hosts that enrol; with where they reach it, `https://host:port`.
pub(super) async fn open(
    options: &Options,
    database: &Database,
    identity: Identity,
    core: &Handle,
    broker: &Reached,
) -> anyhow::Result<(EnrolHandle, String)> {
    let database = database.clone();
    let store = tokio::task::spawn_blocking(move || database.writer()).await??;
    let core = core.clone();
    let tell = move |certificate: &certificates::Certificate| {
        for change in certificate.changes() {
            core.ask_blocking(InputBody::Agent(change)).map_err(|error| error.to_string())?;
        }
        Ok(())
    };
    let given = Given {
        broker: broker.address(|bound| reached_at(options, bound)),
        sealed: broker.is_sealed(),
        command_keys: vec![identity.command_key.public_key_text()],
    };
    let office = Office::new(store, identity.ca, given, Box::new(tell));
    let server = identity.server;
    let config = EnrolConfig { listen: options.enrol_listen, certificate: server.certificate, key: server.key };
    let enrol = enrol::listen(config, Arc::new(office)).await?;
    let url = format!("https://{}:{}", reached_at(options, enrol.address()), enrol.address().port());
    Ok((enrol, url))
}

/// Under which name others reach what listens at `bound`.
pub(super) fn reached_at(options: &Options, bound: SocketAddr) -> String {
    options.names.first().cloned().unwrap_or_else(|| match bound {
        SocketAddr::V6(address) => format!("[{}]", address.ip()),
        SocketAddr::V4(address) => address.ip().to_string(),
    })
}
