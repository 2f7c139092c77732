//! One matter, from its number to what it means for the desk.

use std::collections::BTreeMap;

use watchkeep_desk::ids::CommandId;
use watchkeep_desk::input::{AgentChange, AgentEvent, CommandOutcome, Outcome};
use watchkeep_desk::{InputBody, Millis};
use watchkeep_protocol::matter::MatterBody;
use watchkeep_protocol::{CommandResult, Event, Matter, Resync, Status};
use watchkeep_rules::events::Event as RuleEvent;

use super::host::Host;
use super::inventory::Took;
use super::proposal::Proposal;
use crate::store::events::Event as SeenEvent;

/// The first 8 bytes of a matter's content hash.
pub fn content(matter: &Matter) -> u64 {
    matter.content_hash().iter().take(8).fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
}

pub use crate::access::hex as hexadecimal;

/// The bytes of what [`hexadecimal`] wrote.
pub fn unhexadecimal(text: &str) -> Vec<u8> {
    let pairs = text.as_bytes().chunks_exact(2).map(|pair| std::str::from_utf8(pair).unwrap_or_default());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap_or_default()).collect()
}

/// Whether [`hexadecimal`] writes `bytes` as `text`.
pub fn is_hexadecimal_of(text: &str, bytes: &[u8]) -> bool {
    let digit = |four: u8| char::from_digit(u32::from(four), 16).map_or(0, |digit| digit as u8);
    let digits = bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
    text.bytes().eq(digits)
}

/// What a matter's body proposes. `id` is `<agent>/<spool>/<number>`. The returned resync, if any, asks the agent for more.
pub fn take(
    host: &mut Host,
    id: &str,
    body: MatterBody,
    at: Millis,
    now: Millis,
    into: &mut Proposal,
) -> Option<Resync> {
    match body {
        MatterBody::Event(event) => take_event(host, id, event, at, now, into),
        MatterBody::Inventory(inventory) => {
            let section = inventory.section.clone();
            match host.sections.take(&host.agent, inventory, at) {
                Took::Fragment(fragment) => {
                    host.retired = false;
                    host.detection.touch();
                    into.inputs.push(InputBody::Inventory(fragment));
                }
                Took::Waiting => {}
                Took::Unknown => {
                    let reason = format!("section \"{section}\" starts from a state that is not known here");
                    return Some(Resync { sections: vec![section], reason, ..Resync::default() });
                }
            }
        }
        MatterBody::Result(result) => into.inputs.push(outcome(host, result, now)),
        MatterBody::Status(status) => {
            if let (Some(none), Some(streams)) = (status.skipped, host.streams.as_mut()) {
                streams.reports.skip(none.first..none.next, now);
            }
            into.inputs.push(said(host, status, at));
        }
    }
    None
}

/// Labels as rules see them: the agent's own, with `instance` from its certificate, which it cannot choose.
fn take_event(host: &mut Host, id: &str, event: Event, at: Millis, now: Millis, into: &mut Proposal) {
    let mut labels: BTreeMap<String, String> = event.labels;
    labels.insert("instance".to_owned(), host.agent.clone());
    let alerts = host.detection.event(&host.agent, &RuleEvent { labels: &labels, text: &event.text, at: at.0 });
    into.inputs.extend(alerts.into_iter().map(InputBody::Alert));
    into.events.push(SeenEvent {
        id: id.to_owned(),
        agent: host.agent.clone(),
        at,
        learned_at: now,
        labels,
        text: event.text,
    });
}

fn said(host: &Host, status: Status, at: Millis) -> InputBody {
    InputBody::Agent(AgentChange {
        agent: host.agent.clone(),
        happened_at: at,
        what: AgentEvent::Said { what: status.what, detail: status.detail },
    })
}

fn outcome(host: &Host, result: CommandResult, now: Millis) -> InputBody {
    let mut command = [0; 16];
    if result.id.len() == command.len() {
        command.copy_from_slice(&result.id);
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    InputBody::Result(CommandOutcome {
        command: CommandId(command),
        agent: host.agent.clone(),
        outcome: match watchkeep_protocol::Outcome::try_from(result.outcome) {
            Ok(watchkeep_protocol::Outcome::Done) => Outcome::Done,
            Ok(watchkeep_protocol::Outcome::Failed) => Outcome::Failed,
            Ok(watchkeep_protocol::Outcome::TimedOut) => Outcome::TimedOut,
            Ok(watchkeep_protocol::Outcome::Refused) => Outcome::Refused,
            Ok(watchkeep_protocol::Outcome::Unknown) | Err(_) => Outcome::Unknown,
        },
        exit: result.exit,
        stdout: text(&result.stdout),
        stderr: text(&result.stderr),
        cut: result.cut,
        started_at: host.corrected(result.started_ms, now),
        finished_at: host.corrected(result.finished_ms, now),
        changed: result.changed,
        refusal: Some(result.refusal).filter(|word| !word.is_empty()),
        reason: result.reason,
        policy: result.policy,
        claims: format!("{} step {} attempt {}", result.run, result.step, result.attempt),
    })
}
