//! Events of sources on their way to the spool: what the spool did not keep is handed over again.

use std::collections::VecDeque;

use tokio::sync::{mpsc, oneshot};
use watchkeep_protocol::Event;

use crate::act::wall_ms;
use crate::observe::Sighting;

/// Events that wait for the spool; the oldest goes where there are more, and the log says so.
const WAITING: usize = 256;

/// One source's way of telling events.
pub struct Teller {
    /// `None` where nobody listens: `watchkeep-agent metrics`.
    out: Option<mpsc::Sender<Sighting>>,
    waiting: VecDeque<Waiting>,
}

struct Waiting {
    at_ms: i64,
    event: Event,
    /// It was handed over, and it is not known yet whether it was kept.
    handed: Option<oneshot::Receiver<()>>,
}

impl Teller {
    pub fn new(out: Option<mpsc::Sender<Sighting>>) -> Self {
        Self { out, waiting: VecDeque::new() }
    }

    /// Tells what happened just now.
    pub fn tell(&mut self, event: Event) {
        if self.out.is_none() {
            return;
        }
        if self.waiting.len() >= WAITING {
            self.waiting.pop_front();
            tracing::warn!("more than {WAITING} events of one source wait for the spool; the oldest is given up");
        }
        self.waiting.push_back(Waiting { at_ms: wall_ms(), event, handed: None });
        self.go_on();
    }

    /// Hands over what was not kept; called now and then.
    pub fn go_on(&mut self) {
        let Some(out) = &self.out else { return };
        self.waiting.retain_mut(|waiting| {
            match waiting.handed.as_mut().map(oneshot::Receiver::try_recv) {
                Some(Ok(())) => return false,
                Some(Err(oneshot::error::TryRecvError::Empty)) => return true,
                Some(Err(oneshot::error::TryRecvError::Closed)) | None => {}
            }
            let (kept, handed) = oneshot::channel();
            let sighting = Sighting { at_ms: waiting.at_ms, event: waiting.event.clone(), kept };
            waiting.handed = out.try_send(sighting).is_ok().then_some(handed);
            true
        });
    }

    /// Whether everything told is kept.
    pub fn is_done(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: &str) -> Event {
        Event { labels: [("kind".to_owned(), kind.to_owned())].into(), text: String::new() }
    }

    #[test]
    fn what_is_not_kept_is_handed_over_again_with_its_own_time() {
        let (out, mut seen) = mpsc::channel(8);
        let mut teller = Teller::new(Some(out));
        teller.tell(event("a"));
        let first = seen.try_recv().expect("was handed over");
        teller.go_on();
        assert!(seen.try_recv().is_err(), "once, while it is on its way");
        let at_ms = first.at_ms;
        drop(first);
        teller.go_on();
        let again = seen.try_recv().expect("is handed over again");
        assert_eq!((again.at_ms, &again.event), (at_ms, &event("a")));
        again.kept.send(()).expect("the teller listens");
        teller.go_on();
        assert!(teller.is_done() && seen.try_recv().is_err());
    }

    #[test]
    fn a_full_queue_is_tried_again_and_what_waits_is_bounded() {
        let (out, mut seen) = mpsc::channel(1);
        let mut teller = Teller::new(Some(out));
        for number in 0..WAITING + 10 {
            teller.tell(event(&number.to_string()));
        }
        assert_eq!(teller.waiting.len(), WAITING);
        seen.try_recv().expect("one was handed over").kept.send(()).unwrap_or(());
        teller.go_on();
        assert!(seen.try_recv().is_ok(), "the next one follows");
    }
}
