//! Opening: from an address to a migrated database and its connections.

use std::time::{SystemTime, UNIX_EPOCH};

use super::failing::{Failing, Fault};
use super::migrations::migrate;
use super::{Address, MIGRATIONS, Postgres, ReadPool, Sqlite, Store, StoreError};

/// A database whose schema is up to date; gives out connections.
#[derive(Clone, Debug)]
pub struct Database {
    address: Address,
    fault: Option<Fault>,
}

/// Opens the database at `address`, making a SQLite file where there is none, and brings its schema up to date.
pub fn open(address: &str) -> Result<Database, StoreError> {
    let address: Address = address.parse()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64);
    match &address {
        Address::Sqlite(path) => migrate(&mut Sqlite::open(path)?, MIGRATIONS, now)?,
        Address::Postgres(postgres) => migrate(&mut Postgres::connect(postgres)?, MIGRATIONS, now)?,
    }
    Ok(Database { address, fault: None })
}

/// A database that is there, as it is: it is neither made nor migrated. For reading what a stopped controller left.
///
/// # Errors
/// The address is none, or names a file that is not there.
pub fn existing(address: &str) -> Result<Database, StoreError> {
    let address: Address = address.parse()?;
    if let Address::Sqlite(path) = &address {
        let doing = || format!("open the SQLite database \"{}\"", path.display());
        std::fs::metadata(path).map_err(|error| StoreError::database(doing(), error))?;
    }
    Ok(Database { address, fault: None })
}

impl Sqlite {
    /// A migrated database that lives as long as this value, for simulation and tests.
    pub fn fresh() -> Result<Self, StoreError> {
        let mut store = Self::in_memory()?;
        migrate(&mut store, MIGRATIONS, 0)?;
        Ok(store)
    }
}

impl Database {
    /// A connection that writes.
    pub fn writer(&self) -> Result<Box<dyn Store>, StoreError> {
        let store = self.connect()?;
        Ok(match &self.fault {
            Some(fault) => Box::new(Failing::new(store, fault.clone())),
            None => store,
        })
    }

    /// The same database, whose connections that write fail where `fault` says, for tests of what stands on it.
    #[must_use]
    pub fn failing(&self, fault: Fault) -> Self {
        Self { address: self.address.clone(), fault: Some(fault) }
    }

    /// Connections that only read, opened as they are needed, at most `connections` of them.
    pub fn readers(&self, connections: usize) -> ReadPool {
        let database = self.clone();
        ReadPool::new(connections, Box::new(move || database.connect()))
    }

    /// Where it is, without its password.
    pub fn address(&self) -> &Address {
        &self.address
    }

    fn connect(&self) -> Result<Box<dyn Store>, StoreError> {
        Ok(match &self.address {
            Address::Sqlite(path) => Box::new(Sqlite::open(path)?),
            Address::Postgres(postgres) => Box::new(Postgres::connect(postgres)?),
        })
    }
}
