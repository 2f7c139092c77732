//! Reports and matters, taken once each.

use watchkeep_protocol::check::Check;
use watchkeep_protocol::topic::Kind;
use watchkeep_protocol::{Matter, Report, WireError};

use super::asking::ASK_AGAIN;
use super::step::Step;
use crate::core::aside;
use crate::ingest::host::Streams;
use crate::ingest::matter::{self, content, hexadecimal};
use crate::ingest::{Numbered, report};

impl Step<'_> {
    pub(super) fn report(&mut self, report: Report) -> Result<(), WireError> {
        let Some(streams) = &self.host.streams else { return Ok(()) };
        let is_of_it = matter::is_hexadecimal_of(&streams.spool, &report.spool);
        if self.host.is_condemned() {
            self.ask_for_spool(ASK_AGAIN);
            return Ok(());
        }
        if !is_of_it {
            // A late copy of one before, or a spool whose hello was lost; then its matters ask for that.
            return Ok(());
        }
        if self.holds_back {
            // It is told where the mark stands, so that it does not think the controller dead.
            self.tally.held_back += 1;
            self.ack_samples();
            return Ok(());
        }
        let Some(layout) = self.layouts.get(&report.layout) else {
            self.ask_for_layout(report.layout);
            return Ok(());
        };
        let Some(at) = self.host.corrected_sample(report.at_ms, self.now) else {
            self.tally.refused += report::refuse(self.host, &report, self.now);
            self.ack_samples();
            return Ok(());
        };
        let taken = report::take(self.host, &report, &layout, at, self.now)?;
        self.tally.add(&taken);
        self.lags.push(self.now.since(at));
        if taken.values > 0 {
            self.host.samples.tell_report(report, &layout, at.0, taken.newest);
        }
        if taken.newest {
            let host = &mut *self.host;
            self.proposal.inputs.extend(host.detection.report(
                &host.agent,
                &mut host.samples,
                self.watches,
                at,
                self.now,
                self.health,
            ));
        }
        self.ack_samples();
        Ok(())
    }

    /// A matter that makes no sense is taken all the same, and told of: refused for ever it would hold up all behind it.
    pub(super) fn matter(&mut self, message: Matter) -> Result<(), WireError> {
        let Some(streams) = self.host.streams.clone() else { return Ok(()) };
        let spool = hexadecimal(&message.spool);
        if spool != streams.spool {
            // A late copy of what was condemned, or a spool whose hello was lost.
            if !self.host.marks.get(&spool).is_some_and(|mark| mark.condemned) {
                self.ask_for_hello(streams.session, "this spool was not said hello of");
            }
            return Ok(());
        }
        if self.host.is_condemned() {
            self.ask_for_spool(ASK_AGAIN);
            return Ok(());
        }
        let (number, content) = (message.number, content(&message));
        let mark = self.host.marks.entry(streams.spool.clone()).or_default();
        let mut sense = Ok(());
        match mark.judge(number, content, streams.seen) {
            Numbered::Other => {
                self.condemn();
                return Ok(());
            }
            Numbered::Again => self.seen(number),
            // The agent had an acknowledgement of a life before, and will not bring again what is waited for.
            Numbered::Ahead if streams.seen < mark.next => {
                self.ask_for_hello(streams.session, "where its matters begin is not known here");
            }
            Numbered::Ahead => {}
            Numbered::Next => {
                let known = mark.take(content);
                mark.used_at = mark.used_at.max(self.now);
                self.seen(number);
                sense = message.check();
                if !known && sense.is_ok() {
                    self.body(&streams, message);
                }
                self.keep_mark();
            }
        }
        self.ack();
        sense
    }

    /// What a matter says, unless that is set aside.
    pub(super) fn body(&mut self, streams: &Streams, message: Matter) {
        let kind = message.kind().map_or("matter", Kind::word);
        let (at, number) = (self.host.corrected(message.at_ms, self.now), message.number);
        if let Some(why) = self.host.aside.get(&(streams.spool.clone(), number)) {
            let input = format!("{kind} {number} of spool {}", streams.spool);
            self.proposal.inputs.push(aside::note(Some(self.host.agent.clone()), input, why.clone()));
            return;
        }
        let Some(body) = message.body else { return };
        self.proposal.matter = Some(aside::Matter { spool: streams.spool.clone(), number, kind });
        let id = format!("{}/{}/{}", self.host.agent, streams.spool, number);
        let resync = matter::take(self.host, &id, body, at, self.now, &mut self.proposal);
        resync.into_iter().for_each(|resync| self.resync(streams.session, resync));
    }

    /// Number by number this session shows that it goes with the mark.
    pub(super) fn seen(&mut self, number: u64) {
        if let Some(streams) = self.host.streams.as_mut().filter(|streams| streams.seen == number) {
            streams.seen += 1;
        }
    }

    pub(super) fn keep_mark(&mut self) {
        let mark = self.host.spool_mark().map(|(spool, mark)| (spool.clone(), mark.clone()));
        self.proposal.marks.extend(mark);
    }
}
