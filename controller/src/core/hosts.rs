//! What the store keeps of hosts: states of detection, spool marks, events.

use std::collections::BTreeMap;

use watchkeep_desk::cmdb::{CmdbFact, Graph, Lifecycle};
use watchkeep_desk::{Decision, FactBody};

use crate::detect;
use crate::ingest::{KeptHost, Mark, Proposal};
use crate::store::{self, StoreError, Tx};

/// Keeps what the proposals of a group bring. Marks and detection state stand for the whole host, so only the newest of the
/// group is written; events are all written.
pub fn keep(tx: &mut dyn Tx, proposals: &[Proposal]) -> Result<(), StoreError> {
    let (mut marks, mut rows) = (BTreeMap::new(), BTreeMap::new());
    for proposal in proposals {
        for event in &proposal.events {
            store::events::save(tx, event)?;
        }
        let agent = proposal.agent.as_str();
        marks.extend(proposal.marks.iter().map(|(spool, mark)| ((agent, spool), Some(mark))));
        marks.extend(proposal.forgotten.iter().map(|spool| ((agent, spool), None)));
        rows.extend(proposal.row.as_ref().map(|row| (agent, row)));
    }
    for ((agent, spool), mark) in marks {
        match mark {
            Some(mark) => store::spools::save(tx, &mark.row(agent, spool))?,
            None => store::spools::forget(tx, agent, spool)?,
        }
    }
    rows.into_iter().try_for_each(|(agent, row)| detect::kept::save(tx, agent, row))
}

/// The agents whose hosts these decisions retired.
pub fn retired(decisions: &[Decision], cmdb: &Graph) -> Vec<String> {
    let bodies = decisions.iter().flat_map(|decision| &decision.facts).map(|fact| &fact.body);
    let retired = bodies.filter_map(|body| match body {
        FactBody::Cmdb(CmdbFact::Lifecycle { ci, to: Lifecycle::Retired, .. }) => cmdb.get(*ci)?.agent.clone(),
        _ => None,
    });
    retired.map(|agent| agent.to_string()).collect()
}

/// Everything that was kept, by agent.
pub fn kept(tx: &mut dyn Tx) -> Result<BTreeMap<String, KeptHost>, StoreError> {
    let mut kept: BTreeMap<String, KeptHost> = BTreeMap::new();
    for (agent, row) in detect::kept::all(tx)? {
        kept.entry(agent).or_default().row = row;
    }
    let mut after = (String::new(), String::new());
    loop {
        let page = store::spools::all(tx, (&after.0, &after.1), 500)?;
        let Some(last) = page.last() else { return Ok(kept) };
        after = (last.agent.clone(), last.spool.clone());
        for row in page {
            let mark = Mark::stored(&row);
            kept.entry(row.agent).or_default().marks.insert(row.spool, mark);
        }
    }
}
