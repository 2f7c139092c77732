//! A database in memory that outlives the controller: a crash loses the transaction under way and nothing else.

use std::sync::{Arc, Mutex, PoisonError};

use watchkeep::store::lease::Fence;
use watchkeep::store::{Sqlite, Store, StoreError, Work};

/// Clones are the same database.
#[derive(Clone)]
pub struct Shared(Arc<Mutex<Sqlite>>);

impl Shared {
    /// # Errors
    /// What SQLite says.
    pub fn fresh() -> Result<Self, StoreError> {
        Ok(Self(Arc::new(Mutex::new(Sqlite::fresh()?))))
    }
}

impl Store for Shared {
    fn write(&mut self, work: &mut Work<'_>) -> Result<(), StoreError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(work)
    }

    fn read(&mut self, work: &mut Work<'_>) -> Result<(), StoreError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).read(work)
    }

    fn fence(&mut self, fence: Option<Fence>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).fence(fence);
    }
}
