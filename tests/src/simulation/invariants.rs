//! What must hold, whatever went wrong.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use watchkeep::core::checkpoints::CheckpointKey;
use watchkeep::core::committer::CHAIN;
use watchkeep::ledger;
use watchkeep::ledger::inputs;
use watchkeep::store::{Columns, StoreError, Tx, Value, marks, reading, records, spools};
use watchkeep_desk::{Desk, Record};

use super::controller::Controller;
use super::host::{Host, SERIAL};

/// What was seen before, for what may only grow.
#[derive(Default)]
pub struct Seen {
    marks: BTreeMap<String, u64>,
    facts: u64,
    inputs: u64,
    /// Commands that a host and its clone both carried out before anybody could know of two: each was sent to whoever spoke
    /// for the name.
    pub twice: BTreeSet<Vec<u8>>,
}

/// One column of text.
fn texts(tx: &mut dyn Tx, sql: &str) -> Result<Vec<String>, StoreError> {
    tx.query(sql, &[])?.into_iter().map(|row| Columns::new("simulation", row).text()).collect()
}

fn numbers(tx: &mut dyn Tx, sql: &str, params: &[Value]) -> Result<Vec<u64>, StoreError> {
    tx.query(sql, params)?.into_iter().map(|row| Columns::new("simulation", row).count()).collect()
}

/// The committed mark of a spool (hexadecimal).
///
/// # Errors
/// The store cannot be read.
pub fn committed_mark(controller: &mut Controller, agent: &str, spool: &str) -> Result<Option<u64>> {
    let sql = "SELECT next_matter FROM spool_mark WHERE agent = $1 AND spool = $2";
    let found = reading(&mut controller.store, |tx| numbers(tx, sql, &[agent.into(), spool.into()]));
    Ok(found.context("read a mark")?.pop())
}

/// What holds at every moment.
///
/// # Errors
/// The sentence of the first that does not.
pub fn always(controller: &mut Controller, hosts: &[Host], seen: &mut Seen) -> Result<()> {
    never_back(controller, seen)?;
    commands(hosts)?;
    incidents(controller)
}

/// The commands that both carried out.
pub fn shared_commands(one: &Host, other: &Host) -> Vec<Vec<u8>> {
    one.act.carried.keys().filter(|id| other.act.carried.contains_key(*id)).cloned().collect()
}

/// Marks, facts and inputs only grow.
fn never_back(controller: &mut Controller, seen: &mut Seen) -> Result<()> {
    let (found, head, order) = reading(&mut controller.store, |tx| {
        let order = marks::committed(tx, CHAIN)?.map_or(0, |(order, _)| order);
        Ok((spools::all(tx, ("", ""), 500)?, ledger::head(tx, CHAIN)?.seq, order))
    })?;
    for mark in found {
        let before = seen.marks.insert(format!("{}/{}", mark.agent, mark.spool), mark.next_matter).unwrap_or(0);
        ensure!(
            mark.next_matter >= before,
            "the mark of spool {} went back from {before} to {}",
            mark.spool,
            mark.next_matter
        );
    }
    ensure!(head >= seen.facts, "the ledger went back from fact {} to {head}", seen.facts);
    ensure!(order >= seen.inputs, "the input mark went back from {} to {order}", seen.inputs);
    (seen.facts, seen.inputs) = (head, order);
    Ok(())
}

/// Each command is carried out once at most, and so is each attempt of a step.
fn commands(hosts: &[Host]) -> Result<()> {
    for host in hosts {
        for (id, times) in &host.act.carried {
            ensure!(*times == 1, "{} carried command {id:02x?} out {times} times", host.name);
        }
        for ((run, step, attempt), times) in &host.act.attempts {
            ensure!(*times == 1, "{} carried {run} step {step} attempt {attempt} out {times} times", host.name);
        }
    }
    Ok(())
}

/// Numbers have no gaps, and no two incidents of one key are open.
fn incidents(controller: &mut Controller) -> Result<()> {
    let (found, restored) = reading(&mut controller.store, |tx| {
        Ok((numbers(tx, "SELECT number FROM incident ORDER BY number", &[])?, records::restore(tx)?))
    })?;
    ensure!(found.iter().copied().eq(1..=found.len() as u64), "incident numbers have gaps: {found:?}");
    let mut open = BTreeMap::new();
    for record in &restored {
        if let Record::Incident(incident) = record
            && incident.resolution.is_none()
            && !incident.state.is_final()
        {
            let other = open.insert(incident.key.clone(), incident.id);
            ensure!(
                other.is_none(),
                "{} and {} are both open for {}",
                other.map_or(incident.id, |id| id),
                incident.id,
                incident.key
            );
        }
    }
    Ok(())
}

/// What holds once everything is quiet.
///
/// # Errors
/// The sentence of the first that does not.
pub fn in_the_end(controller: &mut Controller, hosts: &mut [Host], seen: &Seen) -> Result<End> {
    commands(hosts)?;
    no_command_to_both(hosts, seen)?;
    each_event_once(controller, hosts)?;
    hosts.iter_mut().try_for_each(|host| each_report_once(controller, host))?;
    ensure!(controller.tally.given_up == 0, "{} reports were given up", controller.tally.given_up);
    ledger_verifies(controller)?;
    let end = End { asked: controller.tally.asked, ..replay(controller)? };
    let sql = "SELECT id FROM outbox WHERE kind = 'notice' AND done_at IS NULL";
    let owed = reading(&mut controller.store, |tx| texts(tx, sql))?;
    ensure!(owed.is_empty(), "notices were never told: {owed:?}");
    let sql = format!(
        "SELECT id FROM outbox WHERE kind = 'notice' GROUP BY id HAVING COUNT(DISTINCT channel) <> {}",
        super::controller::CHANNELS.len()
    );
    let missed = reading(&mut controller.store, |tx| texts(tx, &sql))?;
    ensure!(missed.is_empty(), "notices that did not go to each channel: {missed:?}");
    Ok(end)
}

/// Once two were noticed under one name, nothing that one of them was sent is sent to the other.
fn no_command_to_both(hosts: &[Host], seen: &Seen) -> Result<()> {
    for (place, one) in hosts.iter().enumerate() {
        for other in &hosts[place + 1..] {
            let both = shared_commands(one, other);
            let new: Vec<_> = both.iter().filter(|id| !seen.twice.contains(*id)).collect();
            ensure!(new.is_empty(), "{} was sent commands that {} had carried out: {new:02x?}", one.name, other.name);
        }
    }
    Ok(())
}

/// Every event that a spool called durable is in the store once, and no other. What a clone's spool held when it was made
/// is there once under each of the two names that they have in the end.
fn each_event_once(controller: &mut Controller, hosts: &[Host]) -> Result<()> {
    let sql = "SELECT agent || ' says ' || text FROM event ORDER BY 1";
    let told = reading(&mut controller.store, |tx| texts(tx, sql))?;
    let twice: Vec<&[String]> = told.windows(2).filter(|pair| pair[0] == pair[1]).collect();
    ensure!(twice.is_empty(), "events are in the store twice: {twice:?}");
    let found = reading(&mut controller.store, |tx| texts(tx, "SELECT DISTINCT text FROM event"))?;
    let distinct: BTreeSet<&String> = found.iter().collect();
    let durable: BTreeSet<&String> = hosts.iter().flat_map(|host| &host.durable).collect();
    let lost: Vec<_> = durable.difference(&distinct).collect();
    ensure!(lost.is_empty(), "events were lost: {lost:?}");
    let undone: BTreeSet<&String> = hosts.iter().flat_map(|host| &host.undone).collect();
    let invented: Vec<_> = distinct.difference(&durable).filter(|event| !undone.contains(*event)).collect();
    ensure!(invented.is_empty(), "events are in the store that no spool called durable: {invented:?}");
    Ok(())
}

/// Reports that were read so shortly before the end may be on their way.
const UNDER_WAY: u64 = 3;

/// Every report that the agent still holds, or was told that it may delete, is in the controller's samples; and once, unless
/// it was numbered anew under another spool id, in another session with another offset of its clock.
fn each_report_once(controller: &Controller, host: &mut Host) -> Result<()> {
    let name = host.name.clone();
    let mut found = Vec::new();
    for agent in &host.names {
        found.extend(controller.values(agent, SERIAL)?.iter().map(|value| *value as u64));
    }
    let distinct: BTreeSet<u64> = found.iter().copied().collect();
    let spools: Vec<_> = host.spools.iter().copied().collect();
    let mut owed: BTreeSet<u64> = spools.iter().flat_map(|spool| host.serials(spool, 0, u64::MAX)).collect();
    owed.retain(|serial| serial + UNDER_WAY <= host.reports);
    let lost: Vec<_> = owed.difference(&distinct).collect();
    ensure!(lost.is_empty(), "reports that {name} still holds are not in the samples: {lost:?}");
    let lost: Vec<_> = host.sealed.difference(&distinct).collect();
    ensure!(lost.is_empty(), "reports of {name} were acknowledged as sealed and are not in the samples: {lost:?}");
    if spools.len() == 1 && !host.cloned {
        let twice: Vec<_> = distinct.iter().filter(|one| found.iter().filter(|two| two == one).count() > 1).collect();
        ensure!(twice.is_empty(), "reports of {name} are in the samples twice: {twice:?}");
    }
    Ok(())
}

fn ledger_verifies(controller: &mut Controller) -> Result<()> {
    let key = CheckpointKey::of(&controller.checkpoint.checkpoint);
    let signed = |id: &str, message: &[u8], signature: &[u8]| key.signed(id, message, signature);
    let report = reading(&mut controller.store, |tx| ledger::walk(tx, &signed))?;
    ensure!(report.holds(), "the ledger does not verify: {:?}", report.faults);
    Ok(())
}

/// What a seed came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct End {
    pub inputs: u64,
    pub facts: u64,
    pub events: u64,
    pub incidents: u64,
    /// Commands that were carried out.
    pub commands: u64,
    /// Commits that failed, and controllers that died.
    pub failures: u64,
    /// Spools that were numbered anew because they were condemned.
    pub renumberings: u64,
    /// Reports that were lost on the way and asked for again.
    pub asked: u64,
    /// Hosts that were cloned, noticed and enrolled again, each with its clone.
    pub clones: u64,
}

impl End {
    /// Adds another seed's.
    pub fn add(&mut self, other: &Self) {
        self.inputs += other.inputs;
        self.facts += other.facts;
        self.events += other.events;
        self.incidents += other.incidents;
        self.commands += other.commands;
        self.failures += other.failures;
        self.renumberings += other.renumberings;
        self.asked += other.asked;
        self.clones += other.clones;
    }
}

/// A fresh desk over the input log decides the facts of the ledger, byte for byte, and is the desk that the records restore.
fn replay(controller: &mut Controller) -> Result<End> {
    let (bodies, restored, order) = reading(&mut controller.store, |tx| {
        let bodies = texts(tx, "SELECT body FROM ledger_body ORDER BY seq")?;
        Ok((bodies, records::restore(tx)?, marks::committed(tx, CHAIN)?.map_or(0, |(order, _)| order)))
    })?;
    let mut desk = Desk::default();
    let mut bodies_left = bodies.iter();
    let mut last = 0;
    let mut seq = 0;
    for input in inputs::read(&controller.inputs, 1).context("read the input log")? {
        let input = input.context("read the input log")?;
        if input.order > order {
            break;
        }
        last = input.order;
        let generation = controller.generations.get(&input.generation);
        let generation =
            generation.with_context(|| format!("input {last} names a generation that was never taken up"))?;
        for fact in desk.decide(&generation.config, &input).facts {
            seq += 1;
            let again = serde_json::to_string(&fact).context("write a fact")?;
            let kept = bodies_left
                .next()
                .with_context(|| format!("replay decides fact {seq}, which is not in the ledger: {again}"))?;
            ensure!(
                again == *kept,
                "fact {seq} (input {last}) is another in replay\n  kept:   {kept}\n  replay: {again}"
            );
        }
    }
    ensure!(last == order, "the input log ends at {last}, {order} are committed");
    ensure!(bodies_left.next().is_none(), "the ledger holds facts that replay does not decide, from {} on", seq + 1);
    ensure!(Desk::restore(restored) == desk, "the desk restored from its records is not the desk that lived");
    let count = |sql: &str, controller: &mut Controller| -> Result<u64> {
        Ok(reading(&mut controller.store, |tx| numbers(tx, sql, &[]))?.pop().unwrap_or(0))
    };
    Ok(End {
        inputs: last,
        facts: seq,
        renumberings: count("SELECT COUNT(*) FROM ledger WHERE kind = 'agent.renumbered'", controller)?,
        events: count("SELECT COUNT(*) FROM event", controller)?,
        incidents: count("SELECT COUNT(*) FROM incident", controller)?,
        ..End::default()
    })
}
