//! What a shard proposes: inputs for the desk, rows that commit with them, and what goes down to the agent after.

use std::collections::BTreeMap;
use std::time::Instant;

use tokio::sync::oneshot;
use watchkeep_desk::InputBody;
use watchkeep_protocol::{Ack, Resync};

use super::Mark;
use super::host::HostRow;
use crate::core::aside::Matter;
use crate::fleet::session::Live;
use crate::store::events::Event;

/// The outcome of one step of a shard. Everything in it commits together, or nothing does.
#[derive(Debug, Default)]
pub struct Proposal {
    /// The agent that it came from; empty for what concerns no agent.
    pub agent: String,
    pub inputs: Vec<InputBody>,
    /// Events as they are kept and listed.
    pub events: Vec<Event>,
    /// The marks of spools (hexadecimal) that moved.
    pub marks: BTreeMap<String, Mark>,
    /// Spools that the agent has not used for long, and whose marks go.
    pub forgotten: Vec<String>,
    /// The last matter whose body was taken.
    pub matter: Option<Matter>,
    /// What is kept of the host, where it changed.
    pub row: Option<HostRow>,
    /// Sent once all of it is durable.
    pub down: Vec<Down>,
    /// Who waits until all of it is durable.
    pub answers: Vec<oneshot::Sender<()>>,
    /// The life of the engine in which it was made; a proposal of a life before is dropped.
    pub life: u64,
    /// When the oldest message came that its alerts may follow from; none: it has no alerts. To be measured, not decided by.
    pub alerts_since: Option<Instant>,
}

impl Proposal {
    /// Whether there is nothing to commit.
    pub fn is_empty(&self) -> bool {
        let nothing_kept = self.events.is_empty() && self.marks.is_empty() && self.row.is_none();
        nothing_kept && self.inputs.is_empty() && self.answers.is_empty()
    }

    /// Whether the desk is told of alerts.
    pub fn has_alerts(&self) -> bool {
        self.inputs.iter().any(|input| matches!(input, InputBody::Alert(_) | InputBody::Alerts { .. }))
    }

    /// Whether `down` may go out at once. Not with an acknowledgement: it names the mark in memory, which a proposal of the
    /// same host that is still on its way to the disk may have moved. So it follows that one through the desk's queue. One of
    /// samples alone may: a host whose samples are taken must not seem unheard because the desk has much to do.
    pub fn may_go_at_once(&self) -> bool {
        self.is_empty() && !self.down.iter().any(|down| matches!(down, Down::Ack { .. }))
    }
}

/// What goes down to an agent, or is done to its connection.
#[derive(Clone, Debug, PartialEq)]
pub enum Down {
    Ack {
        session: [u8; 16],
        ack: Ack,
    },
    /// An acknowledgement of samples alone: of matters it names those only that the agent itself no longer held at its hello.
    Taken {
        session: [u8; 16],
        ack: Ack,
    },
    Resync {
        session: [u8; 16],
        resync: Resync,
    },
    /// The session that commands are bound to from now on; none while the agent is away.
    Live(Option<Box<Live>>),
    /// Cut the connection of this client id.
    Kick {
        client: String,
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_acknowledgement_never_overtakes_what_it_acknowledges() {
        let with = |down| Proposal { down: vec![down], ..Proposal::default() };
        let ack = with(Down::Ack { session: [1; 16], ack: Ack { matters: 9, ..Ack::default() } });
        assert!(ack.is_empty() && !ack.may_go_at_once());
        assert!(with(Down::Taken { session: [1; 16], ack: Ack::default() }).may_go_at_once());
        assert!(with(Down::Resync { session: [1; 16], resync: Resync::default() }).may_go_at_once());
    }
}
