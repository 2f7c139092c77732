//! Carrying out what the outbox owes: commands to agents, notices to people.
//!
//! Woken by the desk after a commit and by the clock when something falls due again. What became of each goes back to the
//! desk's thread as work, so that there is one writer. At least once: after a crash what was not noted as done is done again,
//! under the same id.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use watchkeep_desk::decision::Notice;
use watchkeep_desk::ids::CommandId;
use watchkeep_desk::{Effect, InputBody, Millis};

use super::handle::{Carried, Handle};
use super::outlet::Downlinks;
use crate::access::keys::SigningKey;
use crate::core::engine::chain;
use crate::fleet::dispatch::{Dispatch, Dispatcher};
use crate::fleet::sign::sign;
use crate::generation::Generation;
use crate::notify::{ATTEMPTS, pause_ms};
use crate::store::outbox::{Errand, Owed};
use crate::store::{ReadPool, StoreError, outbox};

/// Commands looked at in one turn; they stay due until their result is in.
const COMMANDS: u32 = 5_000;
/// Notices looked at in one turn, of each channel.
const NOTICES: u32 = 64;
/// Notices under way at once on one channel: what it takes long to refuse is no burden for the others.
const UNDER_WAY: usize = 16;

/// What the carrier works with.
pub struct Carrier {
    pub core: Handle,
    pub readers: ReadPool,
    pub downlinks: Arc<Downlinks>,
    pub key: Arc<SigningKey>,
    /// The epoch of the desk's lease; a new one with each opening of the store.
    pub epoch: Arc<AtomicU64>,
    pub generation: watch::Receiver<Arc<Generation>>,
    pub config_dir: PathBuf,
    pub http: reqwest::Client,
    pub now: fn() -> Millis,
    /// Rung after each commit that left something in the outbox.
    pub bell: Arc<Notify>,
}

impl Carrier {
    /// Runs until `stop` turns true.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut under_way = JoinSet::new();
        let mut errands = BTreeSet::new();
        let mut commands = Dispatcher::default();
        loop {
            tokio::select! {
                () = self.bell.notified() => {}
                () = tokio::time::sleep(Duration::from_millis(500)) => {}
                Some(ended) = under_way.join_next() => {
                    if let Ok(errand) = ended {
                        errands.remove(&errand);
                    }
                }
                _ = stop.wait_for(|stop| *stop) => return,
            }
            match self.due().await {
                Ok(due) => {
                    self.command(&mut commands, &due).await;
                    self.tell(due, &mut under_way, &mut errands);
                }
                Err(error) => tracing::error!(error = %chain(&error), "the outbox cannot be read"),
            }
        }
    }

    async fn due(&self) -> Result<Vec<Owed>, StoreError> {
        let (readers, now) = (self.readers.clone(), (self.now)());
        let channels = self.generation.borrow().channels();
        let read = move || {
            readers.read(|tx| {
                let mut due = outbox::due_commands(tx, now, COMMANDS)?;
                due.extend(outbox::due_notices(tx, &channels, now, NOTICES)?);
                Ok(due)
            })
        };
        tokio::task::spawn_blocking(read).await.unwrap_or_else(|_| Ok(Vec::new()))
    }

    /// Signs and sends the commands whose turn it is. They stay owed until their result is committed.
    async fn command(&self, commands: &mut Dispatcher, due: &[Owed]) {
        let (epoch, now) = (self.epoch.load(Ordering::Acquire), (self.now)());
        let dispatches = self.downlinks.live.with(|live| commands.step(due, |agent| live.get(agent), epoch, now));
        for dispatch in dispatches {
            match dispatch {
                Dispatch::Send { order, session, binding } => match sign(&self.key, &order, &binding) {
                    Ok(command) => self.downlinks.send_command(&order.agent, session, &command),
                    Err(error) => self.give_up(order.command, chain(&error)).await,
                },
                Dispatch::Expired { command, agent, sent } => {
                    let error = format!("\"{agent}\" gave no result while it was valid; it was sent {sent} times");
                    self.give_up(command, error).await;
                }
            }
        }
    }

    async fn give_up(&self, command: CommandId, error: String) {
        self.core.carried(Errand::command(command), Carried::GivenUp { error }, None).await;
    }

    /// Begins to deliver the notices that are not under way, as far as there is room on their channels.
    fn tell(&self, due: Vec<Owed>, under_way: &mut JoinSet<Errand>, errands: &mut BTreeSet<Errand>) {
        for owed in due {
            let here = errands.iter().filter(|errand| errand.channel == owed.errand.channel).count();
            if let Effect::Notice(notice) = &owed.effect
                && here < UNDER_WAY
                && errands.insert(owed.errand.clone())
            {
                under_way.spawn(self.deliver(notice.clone(), owed));
            }
        }
    }

    /// One attempt at one notice on one channel of the generation in force, and noting what became of it.
    fn deliver(&self, notice: Notice, owed: Owed) -> impl Future<Output = Errand> + use<> {
        let (core, http, now) = (self.core.clone(), self.http.clone(), self.now);
        let generation = self.generation.borrow().clone();
        let config_dir = self.config_dir.clone();
        async move {
            let Owed { errand, attempts, .. } = owed;
            let channel = generation.notify.iter().find(|channel| channel.name == errand.channel);
            let carried = match channel {
                Some(channel) => attempt(channel.deliver(&http, &config_dir, &notice, now()).await, attempts, now()),
                None => no_channel(&errand, generation.channels()),
            };
            let told = told(&notice, &errand, &carried);
            core.carried(errand.clone(), carried, told).await;
            errand
        }
    }
}

/// What an attempt came to, after `before` that failed.
fn attempt(outcome: Result<(), String>, before: u32, now: Millis) -> Carried {
    match outcome {
        Ok(()) => Carried::Done,
        Err(error) if before + 1 >= ATTEMPTS => Carried::GivenUp { error },
        Err(error) => Carried::Failed { error, again_at: now.plus(pause_ms(before + 1)) },
    }
}

/// There is no channel of that name: none was set up when it was owed, or it is not any more.
fn no_channel(errand: &Errand, channels: Vec<String>) -> Carried {
    let hint = format!("then: watchkeep notice resend {}", errand.id);
    match (errand.channel.as_str(), channels.is_empty()) {
        ("", false) => Carried::HandedTo { channels },
        ("", true) => Carried::GivenUp {
            error: format!("no channel is set up; add one under \"notify\" in watchkeep.yaml, {hint}"),
        },
        (name, _) => Carried::GivenUp {
            error: format!(
                "there is no channel \"{name}\" under \"notify\" in watchkeep.yaml any more; add it again, {hint}"
            ),
        },
    }
}

/// What the desk is to learn: how it ended, where it has.
fn told(notice: &Notice, errand: &Errand, carried: &Carried) -> Option<InputBody> {
    let (delivered, detail) = match carried {
        Carried::Done => (true, String::new()),
        Carried::GivenUp { error } => (false, error.clone()),
        Carried::Failed { .. } | Carried::HandedTo { .. } => return None,
    };
    let about = notice.about();
    Some(InputBody::Notified { notice: notice.notice, channel: errand.channel.clone(), about, delivered, detail })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_that_fails_is_tried_again_until_there_were_enough() {
        let failed = |before| attempt(Err("no route".to_owned()), before, Millis(1_000));
        assert_eq!(failed(0), Carried::Failed { error: "no route".to_owned(), again_at: Millis(2_000) });
        assert_eq!(failed(2), Carried::Failed { error: "no route".to_owned(), again_at: Millis(5_000) });
        assert_eq!(failed(ATTEMPTS - 1), Carried::GivenUp { error: "no route".to_owned() });
        assert_eq!(attempt(Ok(()), 7, Millis(1_000)), Carried::Done);
    }

    #[test]
    fn what_has_no_channel_goes_to_those_there_are_or_says_what_to_do() {
        let errand = |channel: &str| Errand { id: "5a".to_owned(), channel: channel.to_owned() };
        let pager = || vec!["pager".to_owned()];
        assert_eq!(no_channel(&errand(""), pager()), Carried::HandedTo { channels: pager() });
        for (channel, says) in [("", "no channel is set up"), ("old", "no channel \"old\"")] {
            let Carried::GivenUp { error } = no_channel(&errand(channel), Vec::new()) else { panic!("given up") };
            assert!(error.contains(says) && error.ends_with("watchkeep notice resend 5a"), "{error}");
        }
    }
}
