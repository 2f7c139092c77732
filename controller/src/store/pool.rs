//! Read connections, shared by whoever asks: the API, the command line, the live stream.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Store, StoreError, Tx, reading};

/// How long a reader waits for a connection.
const PATIENCE: Duration = Duration::from_secs(10);

type Opener = Box<dyn Fn() -> Result<Box<dyn Store>, StoreError> + Send + Sync>;

/// At most so many connections that only read, each used by one caller at a time.
///
/// Blocking: async code calls it inside `spawn_blocking`.
#[derive(Clone)]
pub struct ReadPool(Arc<Shared>);

struct Shared {
    open: Opener,
    connections: usize,
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Default)]
struct State {
    idle: Vec<Box<dyn Store>>,
    /// Connections in use, being opened, or idle.
    taken: usize,
}

impl ReadPool {
    pub(super) fn new(connections: usize, open: Opener) -> Self {
        let connections = connections.max(1);
        Self(Arc::new(Shared { open, connections, state: Mutex::default(), freed: Condvar::new() }))
    }

    /// Runs `work` over one consistent snapshot. `work` may be run again where the connection was found broken.
    ///
    /// Errors: [`StoreError::Busy`] where no connection came free in time.
    pub fn read<T>(&self, work: impl FnMut(&mut dyn Tx) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let mut lent = self.lend()?;
        let store = lent.store.as_mut().expect("lent until it is dropped");
        let outcome = reading(store.as_mut(), work);
        lent.sound = true;
        outcome
    }

    fn lend(&self) -> Result<Lent<'_>, StoreError> {
        let shared = &*self.0;
        let until = Instant::now() + PATIENCE;
        let mut state = shared.lock();
        loop {
            if let Some(store) = state.idle.pop() {
                return Ok(Lent { shared, store: Some(store), sound: false });
            }
            if state.taken < shared.connections {
                state.taken += 1;
                drop(state);
                // Lent before it is opened, so that a failure gives the place back.
                let mut lent = Lent { shared, store: None, sound: false };
                lent.store = Some((shared.open)()?);
                return Ok(lent);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(StoreError::Busy { connections: shared.connections, waited_secs: PATIENCE.as_secs() });
            }
            state = shared.freed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection while it is used; goes back when dropped, or is closed where its work panicked.
struct Lent<'p> {
    shared: &'p Shared,
    store: Option<Box<dyn Store>>,
    sound: bool,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let store = self.store.take();
        let mut state = self.shared.lock();
        match store {
            Some(store) if self.sound => state.idle.push(store),
            _ => state.taken -= 1,
        }
        drop(state);
        self.shared.freed.notify_one();
    }
}
