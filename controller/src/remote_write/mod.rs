//! Remote write: every sample that is taken, and every one that rules write, is passed on to other stores, whose names stand
//! under `remote_write` in the settings.
//!
//! Workers hand over what they take ([`crate::samples::Tap`]). One thread, the [`writer`], makes requests of it, as
//! [`encode`] says, and puts them into the [`queue`] of each store on disk; a [`sender`] a store sends them, one after the
//! other, and tries again for as long as it takes. What a controller that is killed had taken but not queued, agents send
//! again, since it is in no block file either; what was queued already is known by its number ([`marks`]) and not queued
//! twice. The newest request of a queue may be sent twice, if the controller dies between the store's answer and its note.
//!
//! What others wrote in the last moment before a controller was killed is not passed on: they have their answer, and do not
//! send it again.
//!
//! A queue that grows past its bytes loses its oldest segment, and what cannot be queued at all is dropped: both are counted.

mod encode;
mod marks;
mod queue;
mod sender;
mod store;
mod writer;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::watch;
use tokio::task::JoinHandle as Task;
use watchkeep_desk::Millis;

use crate::generation::Generation;
use crate::samples::Tap;
use sender::Sender;
pub use store::{Readings, Store};
use writer::Writer;

/// The stores in force, for the writer and for who looks.
#[derive(Debug)]
pub struct Stores {
    by_name: Mutex<BTreeMap<String, Arc<Store>>>,
    tap: Tap,
}

impl Stores {
    /// By name.
    pub fn all(&self) -> Vec<Arc<Store>> {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner).values().map(Arc::clone).collect()
    }

    /// Samples since the start that were dropped before any queue, as they came faster than they were made requests of.
    pub fn overrun(&self) -> u64 {
        self.tap.dropped()
    }

    fn replace(&self, stores: BTreeMap<String, Arc<Store>>) {
        *self.by_name.lock().unwrap_or_else(PoisonError::into_inner) = stores;
    }
}

/// What it runs with.
#[derive(Clone)]
pub struct Surroundings {
    /// Where queues lie, a folder each.
    pub folder: PathBuf,
    /// Where secrets lie.
    pub config_dir: PathBuf,
    pub generation: watch::Receiver<Arc<Generation>>,
    pub tap: Tap,
    pub now: fn() -> Millis,
}

/// The running parts.
pub struct RemoteWrite {
    pub stores: Arc<Stores>,
    tap: Tap,
    writer: JoinHandle<()>,
}

impl RemoteWrite {
    /// Starts, with the task that starts and stops senders; they end once `stop` turns true, the writer with [`RemoteWrite::end`]. Must be called before anything is
    /// handed over, or what is handed over first is not passed on.
    pub async fn start(surroundings: Surroundings, stop: watch::Receiver<bool>) -> (Self, Task<()>) {
        let tap = surroundings.tap.clone();
        let stores = Arc::new(Stores { by_name: Mutex::default(), tap: tap.clone() });
        let mut keeper = Keeper { surroundings, stores: Arc::clone(&stores), senders: BTreeMap::new(), stop };
        keeper.take_up().await;
        keeper.remove_unnamed();
        let writer = Writer::new(tap.clone(), Arc::clone(&stores));
        let thread = std::thread::Builder::new().name("remote-write".to_owned()).spawn(move || writer.run());
        let writer = thread.expect("the system can start a thread");
        (Self { stores, tap, writer }, tokio::spawn(keeper.run()))
    }

    /// Queues what was handed over, and ends; after those who hand over have ended.
    pub fn end(self) {
        self.tap.end();
        if self.writer.join().is_err() {
            tracing::error!("the thread that queues samples for other stores ended with a panic");
        }
    }
}

/// Has a sender run for each store that the settings name.
struct Keeper {
    surroundings: Surroundings,
    stores: Arc<Stores>,
    senders: BTreeMap<String, Task<()>>,
    stop: watch::Receiver<bool>,
}

impl Keeper {
    async fn run(mut self) {
        let mut stop = self.stop.clone();
        loop {
            let is_changed = tokio::select! {
                _ = stop.wait_for(|stop| *stop) => false,
                changed = self.surroundings.generation.changed() => changed.is_ok(),
            };
            if !is_changed {
                break;
            }
            self.take_up().await;
        }
        // Each sees the same sign, and drops the request that it is at.
        for (name, sender) in std::mem::take(&mut self.senders) {
            if sender.await.is_err() {
                tracing::error!(store = name, "the sender of samples ended with a panic");
            }
        }
    }

    /// Takes up what the generation in force says. A store that cannot be opened is told of and left out.
    async fn take_up(&mut self) {
        let generation = Arc::clone(&self.surroundings.generation.borrow_and_update());
        let before: BTreeMap<String, Arc<Store>> =
            self.stores.all().into_iter().map(|store| (store.config.name.clone(), store)).collect();
        let mut after = BTreeMap::new();
        for config in &generation.remote_write {
            let external = &generation.installation.external_labels;
            let known = before.get(&config.name);
            let same = known.filter(|known| known.config == *config && known.external == *external);
            let store = match same {
                Some(store) => Ok(Arc::clone(store)),
                None => {
                    let known = known.map(Arc::clone);
                    let (folder, config, external) =
                        (self.surroundings.folder.clone(), config.clone(), external.clone());
                    let open = move || Store::open(&folder, config, external, known.as_deref());
                    tokio::task::spawn_blocking(open).await.unwrap_or_else(|ended| Err(std::io::Error::other(ended)))
                }
            };
            match store {
                Ok(store) => {
                    after.insert(config.name.clone(), store);
                }
                Err(error) => {
                    let folder = self.surroundings.folder.join(&config.name);
                    tracing::error!(%error, store = config.name, folder = %folder.display(), "open the queue of a store");
                }
            }
        }
        self.surroundings.tap.open(!after.is_empty());
        for (name, _) in
            before.iter().filter(|(name, store)| after.get(*name).is_none_or(|new| !Arc::ptr_eq(new, store)))
        {
            if let Some(sender) = self.senders.remove(name) {
                sender.abort();
                // Two must not send from one queue.
                let _aborted = sender.await;
            }
        }
        for (name, store) in &after {
            if !self.senders.contains_key(name) {
                let Surroundings { config_dir, now, .. } = self.surroundings.clone();
                let sender = Sender { store: Arc::clone(store), config_dir, now };
                self.senders.insert(name.clone(), tokio::spawn(sender.run(self.stop.clone())));
            }
        }
        self.stores.replace(after);
    }

    /// Removes queues of stores that no longer stand in the settings. Done at a start only: a name that is gone by mistake
    /// comes back with what waits.
    fn remove_unnamed(&self) {
        let named: BTreeSet<String> =
            self.surroundings.generation.borrow().remote_write.iter().map(|config| config.name.clone()).collect();
        let Ok(folders) = std::fs::read_dir(&self.surroundings.folder) else { return };
        for folder in folders.flatten() {
            let name = folder.file_name().to_string_lossy().into_owned();
            if !named.contains(&name) {
                tracing::warn!(store = name, "is no longer in the settings; what waited for it is removed");
                if let Err(error) = std::fs::remove_dir_all(folder.path()) {
                    tracing::warn!(%error, folder = %folder.path().display(), "cannot be removed");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
