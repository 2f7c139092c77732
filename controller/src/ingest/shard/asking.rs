//! What an agent is asked for, and how often.

use watchkeep_protocol::Resync;

use super::step::Step;
use crate::ingest::proposal::Down;

/// What an agent was asked for and did not do is asked for again with its next message after this long, ms …
pub(super) const ASK_AGAIN: i64 = 2_000;
/// … and without one after this long.
pub(super) const ASK_UNASKED: i64 = 15_000;

impl Step<'_> {
    pub(super) fn ask_for_inventory(&mut self, session: [u8; 16]) {
        let reason = "what was on this host is retired; tell what is there now".to_owned();
        self.resync(session, Resync { sections: vec!["*".to_owned()], reason, ..Resync::default() });
    }

    /// Asks for a new spool id, unless something was asked for less than `pause` ms ago: neither the request nor its answer is
    /// sure to arrive, and an agent that is asked with each of its messages answers all of them.
    pub(super) fn ask_for_spool(&mut self, pause: i64) {
        let Some(session) = self.host.streams.as_ref().map(|live| live.session) else { return };
        let reason = "numbers of this spool came before with other content; draw a new spool id".to_owned();
        self.ask(session, pause, Resync { new_spool: true, reason, ..Resync::default() });
    }

    pub(super) fn ask_for_hello(&mut self, session: [u8; 16], reason: &str) {
        self.ask(session, ASK_AGAIN, Resync { hello: true, reason: reason.to_owned(), ..Resync::default() });
    }

    pub(super) fn ask(&mut self, session: [u8; 16], pause: i64, resync: Resync) {
        let asked = self.host.asked.filter(|(asked, _)| *asked == session);
        if asked.is_none_or(|(_, at)| self.now.since(at) >= pause) {
            self.host.asked = Some((session, self.now));
            self.resync(session, resync);
        }
    }

    /// Asks for a layout, unless that was done a moment ago: all reports under way are of it.
    pub(super) fn ask_for_layout(&mut self, layout: Vec<u8>) {
        let Some(streams) = &mut self.host.streams else { return };
        let asked = streams.layout_asked.as_ref().filter(|(asked, _)| *asked == layout);
        if asked.is_none_or(|(_, at)| self.now.since(*at) >= ASK_AGAIN) {
            streams.layout_asked = Some((layout.clone(), self.now));
            let session = streams.session;
            let reason = "unknown layout".to_owned();
            self.resync(session, Resync { layouts: vec![layout], reason, ..Resync::default() });
        }
    }

    /// Asks for reports that were lost on the way; what is given up moves the mark, of which the agent is told.
    pub(super) fn ask_for_reports(&mut self) {
        let Some(streams) = &mut self.host.streams else { return };
        if self.holds_back {
            // What is not taken must not be given up for that.
            return streams.reports.wait(self.now);
        }
        let (session, reports) = (streams.session, streams.reports.missing(self.now));
        let given_up = streams.reports.take_given_up();
        self.tally.given_up += given_up;
        if !reports.is_empty() {
            self.tally.asked += reports.iter().map(|lost| lost.next - lost.first).sum::<u64>();
            let reason = "reports were lost on the way".to_owned();
            self.resync(session, Resync { reports, reason, ..Resync::default() });
        }
        if given_up > 0 {
            self.ack_samples();
        }
    }

    pub(super) fn resync(&mut self, session: [u8; 16], resync: Resync) {
        self.proposal.down.push(Down::Resync { session, resync });
    }
}
