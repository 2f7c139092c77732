//! Acknowledgements: what is taken, what is sealed, and how much may be under way.

use watchkeep_protocol::Ack;

use super::step::Step;
use crate::ingest::host::Streams;
use crate::ingest::matter::unhexadecimal;
use crate::ingest::proposal::Down;

/// Messages that an agent may have under way unacknowledged.
const CREDIT: u32 = 256;

impl Step<'_> {
    /// What is taken so far, and what of the samples is in block files.
    pub(super) fn ack(&mut self) {
        let Some(streams) = &self.host.streams else { return };
        let (session, next) = (streams.session, self.host.marks.get(&streams.spool).map_or(0, |mark| mark.next));
        let ack = self.acknowledging(streams, next.min(streams.seen));
        // One ack a batch: the newest says all.
        self.proposal.down.retain(|down| !matches!(down, Down::Ack { .. } | Down::Taken { .. }));
        self.proposal.down.push(Down::Ack { session, ack });
    }

    /// The same of samples alone, which waits for no commit.
    pub(super) fn ack_samples(&mut self) {
        if self.proposal.down.iter().any(|down| matches!(down, Down::Ack { .. })) {
            return self.ack();
        }
        let Some(streams) = &self.host.streams else { return };
        let (session, ack) = (streams.session, self.acknowledging(streams, streams.matters_from));
        self.proposal.down.retain(|down| !matches!(down, Down::Taken { .. }));
        self.proposal.down.push(Down::Taken { session, ack });
    }

    pub(super) fn acknowledging(&self, streams: &Streams, matters: u64) -> Ack {
        Ack {
            spool: unhexadecimal(&streams.spool),
            matters,
            taken: streams.reports.below(),
            sealed: self.host.sealed(),
            credit: CREDIT,
            now_ms: self.now.0,
            key_share: Vec::new(),
        }
    }
}
