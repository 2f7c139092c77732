//! Hellos: where an agent's streams stand, and what a spool that does not go with its mark means.

use watchkeep_desk::input::AgentEvent;
use watchkeep_protocol::topic::Kind;
use watchkeep_protocol::{Envelope, Hello, WireError};

use super::asking::ASK_AGAIN;
use super::step::Step;
use crate::fleet::session::Heard;
use crate::ingest::host::Counted;

impl Step<'_> {
    /// A hello that was overtaken by a later one says that the agent lives, and no more: it may have another spool by now.
    pub(super) fn greeted(
        &mut self,
        client: Option<&str>,
        session: [u8; 16],
        envelope: &Envelope,
    ) -> Result<(), WireError> {
        let counter = envelope.counter;
        let judged = self.host.streams.as_ref().map(|live| live.judge(session, counter, self.now));
        if judged == Some(Counted::Late) {
            self.note(Heard::Message { client, session });
            return Ok(());
        }
        let hello = envelope.open_checked::<Hello>(Kind::Hello)?;
        if self.hear(Heard::Hello { client, session, hello: &hello }) {
            self.hello(session, counter, &hello, judged == Some(Counted::Rewound));
        }
        Ok(())
    }

    pub(super) fn hello(&mut self, session: [u8; 16], counter: u64, hello: &Hello, rewound: bool) {
        if rewound {
            self.host.streams = None;
        }
        let begun = self.host.begin(session, counter, hello, self.now);
        self.proposal.forgotten.extend(begun.forgotten);
        let Some(streams) = self.host.streams.clone() else { return };
        if begun.renumbered {
            let reason = "its spool had numbers that came before with other content".to_owned();
            self.said(AgentEvent::Renumbered { spool: streams.spool.clone(), reason });
        }
        let mark = self.host.marks.entry(streams.spool.clone()).or_default();
        if mark.condemned {
            return self.ask_for_spool(ASK_AGAIN);
        }
        if rewound || begun.other_past || mark.next > hello.unsent_from().matters {
            return self.condemn();
        }
        if let Some(missing) = mark.skip_to(hello.matters.first) {
            let (first, next) = (missing.start, missing.end);
            let detail =
                format!("matters {first}..{next} were acknowledged once and are not in this store: was it restored?");
            self.said(AgentEvent::Said { what: "lost".to_owned(), detail });
        }
        self.keep_mark();
        self.ack();
        if self.host.retired {
            self.ask_for_inventory(session);
        }
    }

    /// Two hosts have used the agent's spools: their numbers mean another thing on each, so neither goes on under them.
    pub(super) fn condemn_all(&mut self) {
        for (spool, mark) in &mut self.host.marks {
            mark.condemned = true;
            self.proposal.marks.insert(spool.clone(), mark.clone());
        }
    }

    /// The spool does not go with its mark: a restored or cloned host. Nothing of it is taken until it numbers anew.
    pub(super) fn condemn(&mut self) {
        let Some(streams) = &self.host.streams else { return };
        if let Some(mark) = self.host.marks.get_mut(&streams.spool) {
            mark.condemned = true;
        }
        self.keep_mark();
        self.ask_for_spool(0);
    }
}
