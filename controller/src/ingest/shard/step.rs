//! One step of one host.

use watchkeep_desk::input::{AgentChange, AgentEvent, AlertChange};
use watchkeep_desk::{InputBody, Millis};
use watchkeep_protocol::matter::Will;
use watchkeep_protocol::topic::Kind;
use watchkeep_protocol::{Envelope, Layout, WireError};

use super::asking::ASK_UNASKED;
use crate::detect::metrics::RuleHealth;
use crate::detect::{Rules, Watches};
use crate::fleet::session::Heard;
use crate::ingest::host::Host;
use crate::ingest::proposal::{Down, Proposal};
use crate::samples::{Layouts, Tally};

/// A publish, as the gate let it through.
pub(super) struct From<'a> {
    pub client: &'a str,
    pub kind: Kind,
    pub payload: &'a [u8],
}

/// One step of one host: what it may look at, and what it proposes.
pub(super) struct Step<'a> {
    pub host: &'a mut Host,
    pub rules: &'a Rules,
    pub watches: &'a Watches,
    pub layouts: &'a mut Layouts,
    pub tally: &'a mut Tally,
    pub lags: &'a mut Vec<i64>,
    pub health: &'a mut RuleHealth,
    /// Reports are not taken.
    pub holds_back: bool,
    pub now: Millis,
    pub proposal: Proposal,
}

impl Step<'_> {
    pub(super) fn said(&mut self, what: AgentEvent) {
        let change = AgentChange { agent: self.host.agent.clone(), happened_at: self.now, what };
        self.proposal.inputs.push(InputBody::Agent(change));
    }

    pub(super) fn alerts(&mut self, changes: Vec<AlertChange>) {
        self.proposal.inputs.extend(changes.into_iter().map(InputBody::Alert));
    }

    /// Tells the session's bookkeeping, and the desk what follows from it.
    pub(super) fn hear(&mut self, heard: Heard<'_>) -> bool {
        let before = self.host.presence.live().cloned();
        let outcome = self.host.presence.hear(heard, self.now);
        for event in outcome.events {
            if matches!(&event, AgentEvent::Lost { reason, .. } if reason == "quarantined") {
                self.condemn_all();
            }
            let Host { agent, detection, samples, .. } = &mut *self.host;
            let alerts = match &event {
                AgentEvent::Lost { reason, .. } => detection.lost(agent, samples, reason, self.now),
                AgentEvent::Connected { .. } => detection.back(agent, self.now),
                _ => Vec::new(),
            };
            self.said(event);
            self.alerts(alerts);
        }
        let kicks = outcome.kicks.into_iter();
        self.proposal.down.extend(kicks.map(|kick| Down::Kick { client: kick.client, reason: kick.reason.to_owned() }));
        let live = self.host.presence.live();
        if before.as_ref() != live {
            self.proposal.down.push(Down::Live(live.cloned().map(Box::new)));
        }
        outcome.taken
    }

    /// As [`Step::hear`], where there is nothing to take.
    pub(super) fn note(&mut self, heard: Heard<'_>) {
        let _nothing_to_take = self.hear(heard);
    }

    pub(super) fn reload(&mut self) {
        let host = &mut *self.host;
        let inputs = host.detection.reload(&host.agent, &mut host.samples, self.rules, self.now, self.health);
        self.proposal.inputs.extend(inputs);
    }

    pub(super) fn retired(&mut self) {
        self.host.retire();
        // It may have come back in between.
        if let Some(session) = self.host.presence.live().map(|live| live.session) {
            self.ask_for_inventory(session);
        }
    }

    pub(super) fn tick(&mut self, behind: bool) {
        if behind || self.host.presence.next_due().is_some_and(|due| due <= self.now) {
            self.note(Heard::Tick { behind });
        }
        match (self.host.presence.live().is_some(), self.host.is_condemned()) {
            (true, true) => self.ask_for_spool(ASK_UNASKED),
            (true, false) if !behind => self.ask_for_reports(),
            _ => {}
        }
        let host = &mut *self.host;
        let inputs = host.detection.tick(&host.agent, &mut host.samples, self.watches, self.now, self.health);
        self.proposal.inputs.extend(inputs);
    }

    pub(super) fn message(&mut self, from: &From<'_>) {
        if let Err(fault) = self.read(from)
            && self.host.complain()
        {
            let detail = format!("published what does not read as {}: {fault}", from.kind.word());
            self.said(AgentEvent::Suspicious { detail });
        }
    }

    pub(super) fn read(&mut self, from: &From<'_>) -> Result<(), WireError> {
        if from.kind == Kind::Will {
            let will = Envelope::read(from.payload)?.open_checked::<Will>(from.kind)?;
            self.note(Heard::Will { session: session_of(&will.session) });
            return Ok(());
        }
        let envelope = Envelope::read(from.payload)?;
        let (client, session) = (Some(from.client), session_of(&envelope.session));
        if from.kind == Kind::Hello {
            return self.greeted(client, session, &envelope);
        }
        if !self.hear(Heard::Message { client, session }) {
            return Ok(());
        }
        let Some(streams) = self.host.streams.as_mut().filter(|live| live.session == session) else {
            self.ask_for_hello(session, "this session is not known here");
            return Ok(());
        };
        streams.heard(envelope.counter, self.now);
        match from.kind {
            Kind::Layout => self.layouts.take(envelope.open_checked::<Layout>(from.kind)?),
            Kind::Report => self.report(envelope.open_checked(from.kind)?),
            Kind::Event | Kind::Inventory | Kind::Result | Kind::Status => {
                self.matter(envelope.open(from.kind.word())?)
            }
            Kind::Hello | Kind::Will | Kind::Ack | Kind::Resync | Kind::Command => Ok(()),
            // Keys are agreed on before anything comes here, and through a foreign broker alone.
            Kind::Open | Kind::Offer | Kind::Proof => Ok(()),
        }
    }
}

/// The session nonce; checked messages have 16 bytes of it.
fn session_of(bytes: &[u8]) -> [u8; 16] {
    bytes.try_into().unwrap_or_default()
}
