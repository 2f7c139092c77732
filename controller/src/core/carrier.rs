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

use serde_json::json;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use watchkeep_desk::decision::Notice;
use watchkeep_desk::{Effect, InputBody, Millis};

use super::handle::{Carried, Handle};
use super::outlet::Downlinks;
use crate::access::keys::SigningKey;
use crate::core::engine::chain;
use crate::fleet::dispatch::{Dispatch, Dispatcher};
use crate::fleet::sign::sign;

use crate::generation::{Channel, Generation};
use crate::notify::webhook::{self, Secret, Webhook};
use crate::notify::{ATTEMPTS, pause_ms};
use crate::store::outbox::Owed;
use crate::store::{ReadPool, StoreError, outbox};

/// Commands looked at in one turn; they stay due until their result is in.
const COMMANDS: u32 = 5_000;
/// Notices taken up in one turn.
const NOTICES: u32 = 256;
/// Notices under way at once.
const UNDER_WAY: usize = 32;

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
        let mut ids = BTreeSet::new();
        let mut commands = Dispatcher::default();
        loop {
            tokio::select! {
                () = self.bell.notified() => {}
                () = tokio::time::sleep(Duration::from_millis(500)) => {}
                Some(ended) = under_way.join_next() => {
                    if let Ok(id) = ended {
                        ids.remove(&id);
                    }
                }
                _ = stop.wait_for(|stop| *stop) => return,
            }
            match self.due().await {
                Ok(due) => {
                    self.command(&mut commands, &due).await;
                    self.tell(due, &mut under_way, &mut ids);
                }
                Err(error) => tracing::error!(error = %chain(&error), "the outbox cannot be read"),
            }
        }
    }

    async fn due(&self) -> Result<Vec<Owed>, StoreError> {
        let (readers, now) = (self.readers.clone(), (self.now)());
        let read = move || {
            readers.read(|tx| {
                let mut due = outbox::due_of(tx, "command", now, COMMANDS)?;
                due.extend(outbox::due_of(tx, "notice", now, NOTICES)?);
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
                    Err(error) => self.give_up(order.command.to_string(), chain(&error)).await,
                },
                Dispatch::Expired { command, agent, sent } => {
                    let error = format!("\"{agent}\" gave no result while it was valid; it was sent {sent} times");
                    self.give_up(command.to_string(), error).await;
                }
            }
        }
    }

    async fn give_up(&self, id: String, error: String) {
        self.core.carried(id, Carried::GivenUp { error }, None).await;
    }

    /// Begins to post the notices that are not under way, as far as there is room.
    fn tell(&self, due: Vec<Owed>, under_way: &mut JoinSet<String>, ids: &mut BTreeSet<String>) {
        for owed in due {
            if let Effect::Notice(notice) = &owed.effect
                && ids.len() < UNDER_WAY
                && ids.insert(owed.id.clone())
            {
                under_way.spawn(self.post(notice.clone(), owed));
            }
        }
    }

    /// Posts one notice to every channel of the generation in force. Where one fails all are posted to again, under the same
    /// id: a receiver that has it already can tell.
    fn post(&self, notice: Notice, owed: Owed) -> impl Future<Output = String> + use<> {
        let (core, http, now) = (self.core.clone(), self.http.clone(), self.now);
        let channels = self.generation.borrow().notify.clone();
        let config_dir = self.config_dir.clone();
        async move {
            let nowhere = channels.is_empty();
            let mut delivered = Err("no channel is set up; add one under \"notify\" in watchkeep.yaml".to_owned());
            let mut failed = Vec::new();
            for channel in &channels {
                failed.extend(post_to(&http, channel, &config_dir, &notice, now).await.err());
            }
            if !nowhere {
                delivered = if failed.is_empty() { Ok(()) } else { Err(failed.join("; ")) };
            }
            let now = now();
            let told = |delivered, detail: &str| {
                Some(InputBody::Notified { notice: notice.notice, delivered, detail: detail.to_owned() })
            };
            let (carried, told) = match delivered {
                Ok(()) => (Carried::Done, told(true, "")),
                Err(error) if nowhere || owed.attempts + 1 >= ATTEMPTS => {
                    let told = told(false, &error);
                    (Carried::GivenUp { error }, told)
                }
                Err(error) => (Carried::Failed { error, again_at: now.plus(pause_ms(owed.attempts + 1)) }, None),
            };
            core.carried(owed.id.clone(), carried, told).await;
            owed.id
        }
    }
}

async fn post_to(
    http: &reqwest::Client,
    channel: &Channel,
    config_dir: &std::path::Path,
    notice: &Notice,
    now: fn() -> Millis,
) -> Result<(), String> {
    let Channel::Webhook { url, secret_file } = channel;
    let path = config_dir.join(secret_file);
    let secret =
        tokio::fs::read(&path).await.map_err(|error| format!("read secret_file \"{}\": {error}", path.display()))?;
    let webhook = Webhook { url: url.clone(), secret: Secret::new(&secret) };
    let body = json!({
        "notice": notice.notice,
        "why": notice.why,
        "group": notice.group,
        "incident": notice.incident,
        "problem": notice.problem,
        "content": notice.content,
    });
    let id = notice.notice.to_string();
    let sent = webhook::post(http, &webhook, &id, body.to_string().into_bytes(), now().0 / 1_000).await;
    sent.map_err(|error| chain(&error))
}
