//! Events that others saw and send, such as logs by OTLP.

use std::collections::{BTreeSet, VecDeque};

use tokio::sync::oneshot;
use watchkeep_desk::{InputBody, Millis};
use watchkeep_rules::events::Event as RuleEvent;

use super::step::Step;
use crate::samples::foreign::otlp_logs::Logged;
use crate::store::events::Event as SeenEvent;

/// How many are remembered, the newest.
const REMEMBERED: usize = 20_000;

/// What was taken last, by id: a sender that heard no answer sends it again, and it counts once.
#[derive(Debug, Default)]
pub(super) struct LoggedBefore {
    ids: BTreeSet<String>,
    in_order: VecDeque<String>,
}

impl LoggedBefore {
    /// Those that did not come before, and remembers them.
    pub(super) fn fresh(&mut self, events: Vec<Logged>) -> Vec<Logged> {
        let fresh: Vec<Logged> = events.into_iter().filter(|event| self.ids.insert(event.id.clone())).collect();
        self.in_order.extend(fresh.iter().map(|event| event.id.clone()));
        while self.in_order.len() > REMEMBERED {
            let Some(oldest) = self.in_order.pop_front() else { break };
            self.ids.remove(&oldest);
        }
        fresh
    }
}

impl Step<'_> {
    /// Takes what was logged; whoever sent it hears of it with the commit.
    pub(super) fn logged(&mut self, events: Vec<Logged>, answer: oneshot::Sender<()>) {
        for Logged { id, at, labels, text } in events {
            let host = &mut *self.host;
            let labels = host.detection.labels_of(&host.agent, labels);
            let alerts = host.detection.event(&host.agent, &RuleEvent { labels: &labels, text: &text, at });
            self.proposal.inputs.extend(alerts.into_iter().map(InputBody::Alert));
            let agent = labels.get("instance").unwrap_or(&host.agent).clone();
            self.proposal.events.push(SeenEvent { id, agent, at: Millis(at), learned_at: self.now, labels, text });
        }
        self.proposal.answers.push(answer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_again_is_told_from_what_is_new_within_a_bound() {
        let of =
            |number: usize| Logged { id: number.to_string(), at: 0, labels: Default::default(), text: String::new() };
        let mut before = LoggedBefore::default();
        assert_eq!(before.fresh(vec![of(0), of(1), of(0)]).len(), 2);
        assert_eq!(before.fresh(vec![of(1), of(2)]), vec![of(2)]);
        before.fresh((3..REMEMBERED + 3).map(of).collect());
        assert_eq!((before.ids.len(), before.in_order.len()), (REMEMBERED, REMEMBERED));
        assert_eq!(before.fresh(vec![of(0), of(REMEMBERED)]), vec![of(0)], "the oldest are forgotten");
    }
}
