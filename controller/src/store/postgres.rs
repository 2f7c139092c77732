//! PostgreSQL and what speaks like it.
//!
//! **Isolation.** Writes run READ COMMITTED with an epoch check, not SERIALIZABLE. A decision is made from what the desk
//! holds in memory and only the holder of the lease writes what it decides, so there is no write skew to be caught; what
//! must be caught is a second controller, and the epoch does that: its row is read FOR SHARE, so a take-over waits for
//! the transactions under way, and whoever comes after it is refused. Aborts for nothing are thus rare; 40001 and 40P01
//! (which databases that are always serializable send) are retried with the work run again. Reads run REPEATABLE READ, READ ONLY: one snapshot.
//!
//! **Durability.** `synchronous_commit` is set on, whatever the server's default.

use std::collections::HashMap;
use std::time::Duration;

use postgres::config::SslMode;
use postgres::error::SqlState;
use postgres::types::{ToSql, Type};
use postgres::{Client, Config, NoTls, Statement};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::address::{PostgresAddress, Tls};
use super::error::statement;
use super::lease::Fence;
use super::migrations::{Dialect, Migrated};
use super::{Row, Store, StoreError, Tx, Value, Work};

/// Times that a transaction is tried where the database asks for it to be run again.
const ATTEMPTS: u32 = 6;
/// Prepared statements kept by a connection.
const STATEMENTS: usize = 256;

const SESSION: &str = "SET synchronous_commit = on; SET lock_timeout = '10s'; SET client_min_messages = warning;
    SET idle_in_transaction_session_timeout = '60s'; SET timezone = 'UTC'";

/// One connection to a PostgreSQL database; opened again by itself after it broke.
///
/// Blocking: see [`Store`].
pub struct Postgres {
    address: PostgresAddress,
    connection: Connection,
    fence: Option<Fence>,
}

/// The driver's connection, which may be dropped anywhere. The driver closes it by waiting, and panics where that would be on
/// a thread of an async runtime; from there it is closed on a thread of its own.
struct Closing(Option<Client>);

impl std::ops::Deref for Closing {
    type Target = Client;

    fn deref(&self) -> &Client {
        self.0.as_ref().expect("it is taken only when it is dropped")
    }
}

impl std::ops::DerefMut for Closing {
    fn deref_mut(&mut self) -> &mut Client {
        self.0.as_mut().expect("it is taken only when it is dropped")
    }
}

impl Drop for Closing {
    fn drop(&mut self) {
        let client = self.0.take();
        if tokio::runtime::Handle::try_current().is_ok() {
            std::thread::spawn(move || drop(client));
        }
    }
}

struct Connection {
    client: Closing,
    statements: HashMap<String, Statement>,
}

impl Postgres {
    pub fn connect(address: &PostgresAddress) -> Result<Self, StoreError> {
        Ok(Self { address: address.clone(), connection: Connection::open(address)?, fence: None })
    }

    fn transact(&mut self, begin: &str, fenced: bool, work: &mut Work<'_>) -> Result<(), StoreError> {
        let mut attempt = 1;
        loop {
            self.begin(begin)?;
            let fence = self.fence.as_ref().filter(|_| fenced);
            let (outcome, again) = self.connection.finish(fence, work);
            if !again || attempt == ATTEMPTS {
                return outcome;
            }
            // The database refused this order of events and says that another may do; 10 ms, 20 ms, … 160 ms.
            std::thread::sleep(Duration::from_millis(5 << attempt));
            attempt += 1;
        }
    }

    /// Begins; where the connection turns out to be gone nothing was done on it yet, so one new connection is tried.
    fn begin(&mut self, begin: &str) -> Result<(), StoreError> {
        if !self.connection.client.is_closed() {
            match self.connection.client.batch_execute(begin) {
                Ok(()) => return Ok(()),
                Err(_) if self.connection.client.is_closed() => {}
                Err(error) => return Err(StoreError::database(statement(begin), error)),
            }
        }
        self.connection = Connection::open(&self.address)?;
        self.connection.client.batch_execute(begin).map_err(|error| StoreError::database(statement(begin), error))
    }
}

impl Connection {
    fn open(address: &PostgresAddress) -> Result<Self, StoreError> {
        let doing = || format!("connect to \"{address}\"");
        let mut config: Config = address.url.parse().map_err(|error| StoreError::database(doing(), error))?;
        config.application_name("watchkeep");
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(Duration::from_secs(10));
        }
        let client = match &address.tls {
            Tls::Off => config.ssl_mode(SslMode::Disable).connect(NoTls),
            Tls::VerifiedBy(ca) => config.ssl_mode(SslMode::Require).connect(verified_by(ca)?),
        };
        let mut client = client.map_err(|error| StoreError::database(doing(), error))?;
        client.batch_execute(SESSION).map_err(|error| StoreError::database(doing(), error))?;
        Ok(Self { client: Closing(Some(client)), statements: HashMap::new() })
    }

    /// Runs the work of a transaction that has begun, and ends it; and whether it is worth another attempt.
    fn finish(&mut self, fence: Option<&Fence>, work: &mut Work<'_>) -> (Result<(), StoreError>, bool) {
        let mut tx = PostgresTx { connection: self, failed: None, again: false };
        let done = fence.map_or(Ok(()), |fence| fence.check(&mut tx, " FOR SHARE")).and_then(|()| work(&mut tx));
        let again = tx.again;
        let outcome = match (done, tx.failed.take()) {
            (Err(error), _) => Err(error),
            (Ok(()), Some(failed)) => Err(StoreError::Doomed(failed)),
            (Ok(()), None) => return self.commit(),
        };
        // On a connection that broke there is nothing to roll back: the server did when it saw it go.
        if !self.client.is_closed()
            && let Err(error) = self.client.batch_execute("ROLLBACK")
        {
            return (Err(StoreError::database("roll back", error)), false);
        }
        (outcome, again)
    }

    /// A commit that the database itself refused did not happen and may be tried again; one whose answer was lost may
    /// have happened, and is not.
    fn commit(&mut self) -> (Result<(), StoreError>, bool) {
        match self.client.batch_execute("COMMIT") {
            Ok(()) => (Ok(()), false),
            Err(error) => {
                let again = is_transient(&error);
                (Err(StoreError::database("commit", error)), again)
            }
        }
    }

    /// The statement prepared, from the cache where it is there.
    fn prepared(&mut self, sql: &str) -> Result<Statement, postgres::Error> {
        if let Some(known) = self.statements.get(sql) {
            return Ok(known.clone());
        }
        let prepared = self.client.prepare(sql)?;
        if self.statements.len() == STATEMENTS {
            self.statements.clear();
        }
        self.statements.insert(sql.to_owned(), prepared.clone());
        Ok(prepared)
    }
}

impl Store for Postgres {
    fn write(&mut self, work: &mut Work<'_>) -> Result<(), StoreError> {
        self.transact("BEGIN ISOLATION LEVEL READ COMMITTED", true, work)
    }

    fn read(&mut self, work: &mut Work<'_>) -> Result<(), StoreError> {
        self.transact("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", false, work)
    }

    fn fence(&mut self, fence: Option<Fence>) {
        self.fence = fence;
    }
}

impl Migrated for Postgres {
    const DIALECT: Dialect = Dialect::Postgres;
    const LOCK: &'static str = "LOCK TABLE migration IN EXCLUSIVE MODE";
}

struct PostgresTx<'c> {
    connection: &'c mut Connection,
    /// The first statement that failed since the transaction, or the savepoint around, began.
    failed: Option<String>,
    /// The database asked for the whole transaction to be run again; no savepoint contains that.
    again: bool,
}

impl PostgresTx<'_> {
    fn ready(&self) -> Result<(), StoreError> {
        self.failed.as_ref().map_or(Ok(()), |failed| Err(StoreError::Doomed(failed.clone())))
    }

    fn run<T>(
        &mut self,
        sql: &str,
        with: impl FnOnce(&mut Connection) -> Result<T, postgres::Error>,
    ) -> Result<T, StoreError> {
        with(self.connection).map_err(|error| {
            self.again |= is_transient(&error);
            self.failed.get_or_insert_with(|| statement(sql));
            StoreError::database(statement(sql), error)
        })
    }
}

impl Tx for PostgresTx<'_> {
    fn execute(&mut self, sql: &str, params: &[Value]) -> Result<u64, StoreError> {
        self.ready()?;
        self.run(sql, |connection| {
            let prepared = connection.prepared(sql)?;
            let params = parameters(params, &prepared);
            connection.client.execute(&prepared, &borrowed(&params))
        })
    }

    fn query(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, StoreError> {
        self.ready()?;
        self.run(sql, |connection| {
            let prepared = connection.prepared(sql)?;
            let params = parameters(params, &prepared);
            connection.client.query(&prepared, &borrowed(&params))?.iter().map(row).collect()
        })
    }

    fn savepoint(&mut self, work: &mut Work<'_>) -> Result<(), StoreError> {
        self.ready()?;
        self.run("SAVEPOINT work", |connection| connection.client.batch_execute("SAVEPOINT work"))?;
        let outcome = work(self);
        let failed = self.failed.take();
        if self.again {
            // Stays doomed to the outside, so that the whole transaction is run again.
            self.failed = failed.clone().or_else(|| Some("the database asked for another attempt".to_owned()));
            return outcome.and(Err(StoreError::Doomed(failed.unwrap_or_default())));
        }
        let outcome = outcome.and_then(|()| failed.map_or(Ok(()), |failed| Err(StoreError::Doomed(failed))));
        let end = if outcome.is_ok() { "RELEASE work" } else { "ROLLBACK TO work; RELEASE work" };
        self.run(end, |connection| connection.client.batch_execute(end))?;
        outcome
    }
}

/// 40001 (serialization failure) and 40P01 (deadlock): nothing of it happened, and it may go well the next time.
fn is_transient(error: &postgres::Error) -> bool {
    matches!(error.code(), Some(code) if *code == SqlState::T_R_SERIALIZATION_FAILURE || *code == SqlState::T_R_DEADLOCK_DETECTED)
}

type Parameter = Box<dyn ToSql + Sync>;

/// The values as the statement's parameters have their types; a value of another type is refused by the driver.
fn parameters(values: &[Value], prepared: &Statement) -> Vec<Parameter> {
    let types = prepared.params().iter().chain(std::iter::repeat(&Type::TEXT));
    values.iter().zip(types).map(|(value, kind)| parameter(value, kind)).collect()
}

fn parameter(value: &Value, kind: &Type) -> Parameter {
    match value {
        Value::Int(number) => match i32::try_from(*number) {
            // `LIMIT $1 + 1` and the like are taken as 32 bits.
            Ok(small) if *kind == Type::INT4 => Box::new(small),
            _ => Box::new(*number),
        },
        Value::Real(number) => Box::new(*number),
        Value::Text(text) => Box::new(text.clone()),
        Value::Blob(bytes) => Box::new(bytes.clone()),
        Value::Null => match *kind {
            Type::INT8 => Box::new(None::<i64>),
            Type::INT4 => Box::new(None::<i32>),
            Type::FLOAT8 => Box::new(None::<f64>),
            Type::BYTEA => Box::new(None::<Vec<u8>>),
            _ => Box::new(None::<String>),
        },
    }
}

fn borrowed(parameters: &[Parameter]) -> Vec<&(dyn ToSql + Sync)> {
    parameters.iter().map(AsRef::as_ref).collect()
}

fn row(row: &postgres::Row) -> Result<Row, postgres::Error> {
    (0..row.len())
        .map(|place| {
            Ok(match *row.columns()[place].type_() {
                Type::INT8 => row.try_get::<_, Option<i64>>(place)?.map_or(Value::Null, Value::Int),
                Type::INT4 => {
                    row.try_get::<_, Option<i32>>(place)?.map_or(Value::Null, |small| Value::Int(small.into()))
                }
                Type::FLOAT8 => row.try_get::<_, Option<f64>>(place)?.map_or(Value::Null, Value::Real),
                Type::BYTEA => row.try_get::<_, Option<Vec<u8>>>(place)?.map_or(Value::Null, Value::Blob),
                _ => row.try_get::<_, Option<String>>(place)?.map_or(Value::Null, Value::Text),
            })
        })
        .collect()
}

/// TLS that takes only what `ca` signed for the host's name.
fn verified_by(ca: &std::path::Path) -> Result<MakeRustlsConnect, StoreError> {
    let doing = || format!("read the CA of the database, \"{}\"", ca.display());
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca).map_err(|error| StoreError::database(doing(), error))? {
        let certificate = certificate.map_err(|error| StoreError::database(doing(), error))?;
        roots.add(certificate).map_err(|error| StoreError::database(doing(), error))?;
    }
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| StoreError::database(doing(), error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}
