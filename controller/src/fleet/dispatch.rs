//! When which command is sent: a step function over what is owed, who is there, and the time.
//!
//! A command is sent as soon as its agent is there, and again at growing intervals while there is no result and it may
//! still begin; to a new session at once. The agent carries an id out once, so sending too often does no harm; what is known
//! here of earlier sendings is lost with the process, and then it is sent once more.

use std::collections::{BTreeMap, BTreeSet};

use watchkeep_desk::decision::Order;
use watchkeep_desk::ids::CommandId;
use watchkeep_desk::{Effect, Millis};

use super::session::Live;
use super::sign::Binding;
use crate::store::outbox::Owed;

/// The pause after the first sending, milliseconds; it doubles …
const PAUSE: i64 = 2_000;
/// … up to this.
const PAUSE_MAX: i64 = 60_000;

/// What is to be done now.
#[derive(Clone, Debug, PartialEq)]
pub enum Dispatch {
    /// To be signed and published under the agent's session.
    Send { order: Box<Order>, session: [u8; 16], binding: Binding },
    /// It may not begin any more: to be given up in the outbox. The desk's own timer has the word on the step.
    Expired { command: CommandId, agent: String, sent: u32 },
}

#[derive(Clone, Debug)]
struct Sent {
    session: [u8; 16],
    times: u32,
    again_at: Millis,
}

/// What was sent, as long as it is owed.
#[derive(Debug, Default)]
pub struct Dispatcher {
    sent: BTreeMap<CommandId, Sent>,
}

impl Dispatcher {
    /// What to do now about the commands in `owed` (other effects are passed over), for the agents that `live` knows.
    pub fn step<'a>(
        &mut self,
        owed: &[Owed],
        live: impl Fn(&str) -> Option<&'a Live>,
        epoch: u64,
        now: Millis,
    ) -> Vec<Dispatch> {
        let orders: Vec<(&Order, Millis)> = owed.iter().filter_map(command).collect();
        let waiting: BTreeSet<CommandId> = orders.iter().map(|(order, _)| order.command).collect();
        self.sent.retain(|id, _| waiting.contains(id));
        orders
            .into_iter()
            .filter_map(|(order, owed_at)| self.one(order, owed_at, live(&order.agent), epoch, now))
            .collect()
    }

    /// When the next step is due at the latest, for the same `owed`; sooner when an agent comes.
    pub fn next_due(&self, owed: &[Owed]) -> Option<Millis> {
        let due = |(order, owed_at): (&Order, Millis)| {
            let end = owed_at.plus(order.valid_for_ms);
            self.sent.get(&order.command).map_or(end, |sent| sent.again_at.min(end))
        };
        owed.iter().filter_map(command).map(due).min()
    }

    fn one(
        &mut self,
        order: &Order,
        owed_at: Millis,
        live: Option<&Live>,
        epoch: u64,
        now: Millis,
    ) -> Option<Dispatch> {
        let end = owed_at.plus(order.valid_for_ms);
        if now >= end {
            let sent = self.sent.remove(&order.command).map_or(0, |sent| sent.times);
            return Some(Dispatch::Expired { command: order.command, agent: order.agent.clone(), sent });
        }
        // Without a nonce nothing may be done to that host; one that has none yet may say hello again with one.
        let live = live.filter(|live| live.nonce.len() == 16)?;
        let before = self.sent.get(&order.command).filter(|sent| sent.session == live.session);
        if before.is_some_and(|sent| now < sent.again_at) {
            return None;
        }
        let times = before.map_or(0, |sent| sent.times);
        let pause = PAUSE.saturating_mul(1 << times.min(10)).min(PAUSE_MAX);
        let sent = Sent { session: live.session, times: times + 1, again_at: now.plus(pause) };
        self.sent.insert(order.command, sent);
        // The nonce is older than our hearing of it, so this errs towards expiring early.
        let expires_after_ms = u64::try_from(end.since(live.nonce_at)).unwrap_or(0);
        let binding = Binding { nonce: live.nonce.clone(), epoch, expires_after_ms };
        Some(Dispatch::Send { order: Box::new(order.clone()), session: live.session, binding })
    }
}

fn command(owed: &Owed) -> Option<(&Order, Millis)> {
    match &owed.effect {
        Effect::Command(order) => Some((order, owed.owed_at)),
        Effect::Notice(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use watchkeep_desk::decision::Action;
    use watchkeep_desk::ids::RunId;

    use super::*;
    use crate::store::outbox::Errand;

    const VALID: i64 = 60_000;

    fn owed(number: u8, at: i64) -> Owed {
        let order = Order {
            command: CommandId([number; 16]),
            agent: "web-3".to_owned(),
            run: RunId(1),
            step: 0,
            attempt: 1,
            plan_hash: String::new(),
            action: Action::Run { argv: vec!["true".to_owned()] },
            valid_for_ms: VALID,
            timeout_ms: 1_000,
        };
        let errand = Errand::command(order.command);
        let (owed_at, due_at) = (Millis(at), Millis(at));
        Owed {
            errand,
            effect: Effect::Command(order),
            owed_at,
            due_at,
            attempts: 0,
            last_error: None,
            done_at: None,
            dead_at: None,
        }
    }

    fn live(session: u8, nonce_at: i64) -> Live {
        Live { session: [session; 16], nonce: vec![session; 16], nonce_at: Millis(nonce_at), ..Live::default() }
    }

    fn step(dispatcher: &mut Dispatcher, owed: &[Owed], live: Option<&Live>, now: i64) -> Vec<Dispatch> {
        dispatcher.step(owed, |agent| live.filter(|_| agent == "web-3"), 4, Millis(now))
    }

    fn expiry(dispatch: &[Dispatch]) -> Option<u64> {
        match dispatch {
            [Dispatch::Send { binding, .. }] => Some(binding.expires_after_ms),
            _ => None,
        }
    }

    #[test]
    fn a_command_is_sent_at_once_and_again_at_growing_intervals_until_it_expires() {
        let (mut dispatcher, rows, live) = (Dispatcher::default(), [owed(1, 1_000)], live(5, 400));
        let mut sent_at = Vec::new();
        for now in (1_000..1_000 + VALID).step_by(100) {
            let all = step(&mut dispatcher, &rows, Some(&live), now);
            if !all.is_empty() {
                // Whenever it is sent, it ends at the same instant on the agent's clock.
                assert_eq!(expiry(&all), Some(600 + VALID as u64));
                sent_at.push(now);
                assert!(dispatcher.next_due(&rows).is_some_and(|due| due.0 > now));
            }
        }
        assert_eq!(sent_at, [1_000, 3_000, 7_000, 15_000, 31_000]);
        let end = step(&mut dispatcher, &rows, Some(&live), 1_000 + VALID);
        assert_eq!(end, [Dispatch::Expired { command: CommandId([1; 16]), agent: "web-3".to_owned(), sent: 5 }]);
    }

    #[test]
    fn a_command_waits_for_its_agent_and_goes_to_a_new_session_at_once() {
        let (mut dispatcher, rows) = (Dispatcher::default(), [owed(1, 0)]);
        assert_eq!(step(&mut dispatcher, &rows, None, 10), []);
        assert_eq!(dispatcher.next_due(&rows), Some(Millis(VALID)));
        assert_eq!(expiry(&step(&mut dispatcher, &rows, Some(&live(5, 20)), 20)), Some(VALID as u64 - 20));
        assert_eq!(step(&mut dispatcher, &rows, Some(&live(5, 20)), 30), []);
        let all = step(&mut dispatcher, &rows, Some(&live(6, 40)), 40);
        assert!(
            matches!(&all[..], [Dispatch::Send { session, binding, .. }]
            if *session == [6; 16] && binding.nonce == [6; 16] && binding.epoch == 4),
            "{all:?}"
        );
    }

    #[test]
    fn what_is_settled_is_not_sent_again_and_is_forgotten() {
        let (mut dispatcher, live) = (Dispatcher::default(), live(5, 0));
        step(&mut dispatcher, &[owed(1, 0), owed(2, 0)], Some(&live), 10);
        assert_eq!(dispatcher.sent.len(), 2);
        assert_eq!(step(&mut dispatcher, &[owed(2, 0)], Some(&live), 20), []);
        assert_eq!(dispatcher.sent.len(), 1);
    }

    #[test]
    fn a_host_where_nothing_may_be_done_is_sent_nothing() {
        let mut dispatcher = Dispatcher::default();
        let without = Live { nonce: Vec::new(), ..live(5, 0) };
        assert_eq!(step(&mut dispatcher, &[owed(1, 0)], Some(&without), 10), []);
    }
}
