//! `watchkeep-agent metrics` and `inventory`: what would be reported, without a controller and without a trace.

use std::io::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use watchkeep_protocol::inventory::Item;
use watchkeep_protocol::layout::Row;

use super::Failure;
use crate::collect::{Collectors, SpoolFigures, exposition};
use crate::config::AgentConfig;
use crate::discover::{Discoverer, table};
use crate::enrol::Identity;
use crate::gather;
use crate::observe::{self, Units};
use crate::root::Root;
use crate::run;

#[derive(Args, Debug)]
pub struct Inventory {
    /// How to print it
    #[arg(short, long, default_value = "table")]
    output: Output,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Output {
    Table,
    Json,
}

/// What is gathered beside the collectors is waited for so long; each source has a shorter limit of its own.
const LONGEST: Duration = Duration::from_secs(310);

/// One reading as text exposition, scrapes and checks included. What the spool holds is the running agent's to say, and
/// zero here.
pub fn metrics(config: &AgentConfig) -> Result<(), Failure> {
    let units = units()?;
    let mut collectors = Collectors::new(&Root::default(), &config.collect, units);
    let agent = Identity::load(&config.paths.state).map(|identity| identity.name).ok();
    let agent = agent.or_else(|| Root::default().line("proc/sys/kernel/hostname")).unwrap_or_default();
    let gathered = gather::begin(run::sources(config, &Root::default(), &agent, None))
        .context("start a thread")
        .map_err(Failure::Other)?;
    gathered.begin(std::time::Instant::now());
    let mut reading = collectors.read(SpoolFigures::default()).clone();
    gathered.wait(LONGEST);
    let mut rows = Vec::new();
    gathered.take(reading.blocks.len(), &mut rows);
    reading.blocks.extend(gathered.blocks());
    reading.rows.extend((reading.rows.len()..reading.blocks.len()).map(|_| Row::default()));
    for row in rows {
        let place = row.block as usize;
        reading.rows[place] = row;
    }
    print(&exposition(&reading))
}

impl Inventory {
    pub fn print(self, config: &AgentConfig) -> Result<(), Failure> {
        let units = units()?;
        // Nothing is kept, so the folder is never written to.
        let sections = Discoverer::new(Root::default(), "/nonexistent".as_ref(), &config.collect, units).sections();
        print(&match self.output {
            Output::Table => table(&sections),
            Output::Json => {
                let all =
                    sections.into_iter().map(|(name, items)| (name.to_owned(), items.iter().map(to_json).collect()));
                format!("{:#}\n", Value::Object(all.collect()))
            }
        })
    }
}

fn to_json(item: &Item) -> Value {
    let relation = |relation: &watchkeep_protocol::Relation| json!({"kind": relation.kind, "to": {"class": relation.to.class, "key": relation.to.key}});
    let relations: Vec<Value> = item.relations.iter().map(relation).collect();
    json!({"class": item.class, "key": item.key, "attributes": item.attributes, "relations": relations})
}

/// What systemd says now.
fn units() -> Result<Arc<Mutex<Units>>, Failure> {
    let units = Arc::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("start the runtime").map_err(Failure::Other)?;
    runtime.block_on(observe::look(Arc::clone(&units)));
    Ok(units)
}

/// A reader that goes away (`| head`) is no fault.
fn print(text: &str) -> Result<(), Failure> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(fault) if fault.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::Other(anyhow::Error::new(fault).context("write to standard output")))
        }
        _ => Ok(()),
    }
}
