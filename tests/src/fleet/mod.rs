//! A fleet in one process: many agents' real protocol code (enrolment, link, spool, MQTT over TLS) over hosts that are made
//! up, for load and for stories that need more hosts than can be booted.
//!
//! - [`host`]: one agent: its loop over a connection, with a spool in memory.
//! - [`shape`]: what it measures: blocks like a real host's, whose values move and whose instances come and go.
//! - [`system`]: of that, what there is once of a host: load, clock, reboots.
//! - [`estate`]: what is on it: packages, units, listeners, connections.
//! - [`scenes`]: what happens to some of the hosts at a set time: an upgrade, a unit that fails and is mended.
//! - [`figures`]: what is counted of all of them.
//! - [`program`]: the program `watchkeep-fleetsim` itself, beside a controller of a test.
//!
//! Everything that is chance comes from the seed; only the network's timing does not.

pub mod estate;
pub mod figures;
pub mod host;
pub mod program;
pub mod scenes;
pub mod shape;
pub mod system;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::sync::watch;
use tokio::task::JoinSet;
use watchkeep_agent::enrol::{self, EnrolError, Identity, Places};
use watchkeep_protocol::token::Token;

use crate::chance::Chance;
use figures::Figures;
use host::SimulatedHost;
use scenes::{Outage, Upgrade};

/// What a fleet is like.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Names are `PREFIX-1` …
    pub prefix: String,
    pub agents: usize,
    /// Between reports of one host.
    pub interval: Duration,
    /// Series of a host, about.
    pub series: usize,
    /// Instances that come or go, per host and minute.
    pub churn: f64,
    /// Units that fail, per host and hour; each recovers after two intervals.
    pub fail: f64,
    pub seed: u64,
    pub upgrade: Option<Upgrade>,
    pub outage: Option<Outage>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            prefix: "sim".to_owned(),
            agents: 10,
            interval: Duration::from_secs(15),
            series: 300,
            churn: 0.1,
            fail: 0.0,
            seed: 1,
            upgrade: None,
            outage: None,
        }
    }
}

/// Enrolments under way at once.
const ENROLLING: usize = 8;
/// After so long without one it is said how many are enrolled.
const SAY_EVERY: Duration = Duration::from_secs(10);
/// How long an enrolment is tried again for, where the controller has enough for the moment.
const ENROL_WITHIN: Duration = Duration::from_secs(60);

/// Enrols what is not enrolled yet under `folder`; a second run goes on with the same hosts.
///
/// # Errors
/// The first host that is refused, with the controller's sentence.
pub async fn enrol(plan: &Plan, token: &str, folder: &Path) -> Result<Vec<Identity>> {
    let token = Arc::new(Token::parse(token).context("read the enrolment token")?);
    let mut waiting = (1..=plan.agents).map(|number| format!("{}-{number}", plan.prefix));
    let (mut under_way, mut identities) = (JoinSet::new(), Vec::new());
    loop {
        while under_way.len() < ENROLLING
            && let Some(name) = waiting.next()
        {
            let (token, state) = (Arc::clone(&token), folder.join(&name));
            under_way.spawn_blocking(move || enrol_one(&token, &name, &state));
        }
        match tokio::time::timeout(SAY_EVERY, under_way.join_next()).await {
            Ok(Some(enrolled)) => identities.push(enrolled.context("an enrolment panicked")??),
            Ok(None) => break,
            Err(_) => eprintln!("waits to enrol: {} of {} hosts are", identities.len(), plan.agents),
        }
    }
    identities.sort_by_key(|identity| number_of(&identity.name));
    Ok(identities)
}

/// The number at a name's end.
fn number_of(name: &str) -> usize {
    name.rsplit('-').next().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

fn enrol_one(token: &Token, name: &str, state: &Path) -> Result<Identity> {
    std::fs::create_dir_all(state).with_context(|| format!("make {}", state.display()))?;
    let begun = std::time::Instant::now();
    loop {
        match enrol::enrol(token, name, Places { state, act: None }) {
            Ok(enrolled) if enrolled.identity.name == name => return Ok(enrolled.identity),
            Ok(enrolled) => bail!("\"{name}\" is another host's; this one was called \"{}\"", enrolled.identity.name),
            // The desk has more to do than it can take for the moment.
            Err(EnrolError::Refused { found, .. })
                if found.contains("enrol again") && begun.elapsed() < ENROL_WITHIN =>
            {
                std::thread::sleep(Duration::from_secs(2));
            }
            Err(error) => return Err(error).with_context(|| format!("enrol \"{name}\"")),
        }
    }
}

/// Runs the fleet until `stop` turns true; each host then says what it holds and goodbye.
///
/// # Errors
/// An identity that cannot be used.
pub async fn run(
    plan: &Plan,
    identities: Vec<Identity>,
    folder: &Path,
    figures: Arc<Figures>,
    stop: watch::Receiver<bool>,
) -> Result<()> {
    let mut hosts = JoinSet::new();
    for (index, identity) in identities.into_iter().enumerate() {
        let chance = Chance::of(plan.seed.wrapping_mul(1_000_003).wrapping_add(index as u64));
        let state = folder.join(&identity.name);
        let host = SimulatedHost::new(plan, index, &identity, &state, chance, Arc::clone(&figures))
            .with_context(|| format!("make host \"{}\"", identity.name))?;
        hosts.spawn(host.live(stop.clone()));
    }
    while let Some(ended) = hosts.join_next().await {
        ended.context("a host panicked")?;
    }
    Ok(())
}
