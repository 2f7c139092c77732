//! What only a server can do to its clients.

use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use crate::store::testing::Cluster;
use crate::store::{Store, StoreError, Tx, Value, open, reading};

fn set(tx: &mut dyn Tx, name: &str) -> Result<(), StoreError> {
    tx.execute("INSERT INTO setting (name, updated_at, body) VALUES ($1, 1, 'null')", &[name.into()]).map(drop)
}

fn count(tx: &mut dyn Tx) -> Result<i64, StoreError> {
    match tx.query("SELECT COUNT(*) FROM setting", &[])?.remove(0).remove(0) {
        Value::Int(count) => Ok(count),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_connection_that_was_cut_is_opened_again() {
    let cluster = Cluster::start().unwrap_or_else(|error| panic!("{error}"));
    let database = open(&cluster.database("cut").expect("made")).expect("opened");
    let mut store = database.writer().expect("connected");
    let readers = database.readers(1);
    store.write(&mut |tx| set(tx, "a")).expect("written");
    assert_eq!(readers.read(count).expect("read"), 1);

    cluster.cut("cut").expect("cut");
    store.write(&mut |tx| set(tx, "b")).expect("cut between transactions: nothing was under way");
    assert_eq!(readers.read(count).expect("read"), 2);

    let mut runs = 0;
    let error = store.write(&mut |tx| {
        runs += 1;
        set(tx, "c")?;
        cluster.cut("cut").expect("cut");
        set(tx, "d")
    });
    error.expect_err("cut within a transaction: the caller must look at what is there");
    assert_eq!((runs, reading(&mut store, count).expect("read")), (1, 2), "rolled back, and not run again by itself");
    store.write(&mut |tx| set(tx, "c")).expect("written");
}

#[tokio::test]
async fn a_connection_may_be_dropped_on_a_thread_of_an_async_runtime() {
    let begin = || {
        let cluster = Cluster::start().unwrap_or_else(|error| panic!("{error}"));
        let database = open(&cluster.database("dropped").expect("made")).expect("opened");
        let (store, readers) = (database.writer().expect("connected"), database.readers(1));
        readers.read(count).expect("read");
        (cluster, store, readers)
    };
    let (cluster, store, readers) = tokio::task::spawn_blocking(begin).await.expect("begun");
    drop((store, readers));
    tokio::task::spawn_blocking(move || drop(cluster)).await.expect("ended");
}

#[test]
fn an_encrypted_connection_is_verified() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (ca, stranger) = (folder.path().join("ca.pem"), folder.path().join("stranger.pem"));
    std::fs::write(&stranger, certificate().0).expect("written");
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port();
    let prepare = |data: &Path| {
        let (certificate, key) = certificate();
        std::fs::write(&ca, &certificate)?;
        std::fs::write(data.join("server.crt"), certificate)?;
        let owner = data.metadata()?;
        let key_path = data.join("server.key");
        let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&key_path)?;
        std::io::Write::write_all(&mut file, key.as_bytes())?;
        std::os::unix::fs::chown(&key_path, Some(owner.uid()), Some(owner.gid()))?;
        Ok(vec!["listen_addresses=127.0.0.1".to_owned(), "ssl=on".to_owned()])
    };
    let cluster = Cluster::start_with(port, &prepare).unwrap_or_else(|error| panic!("{error}"));
    cluster.database("tls").expect("made");
    let address = |ca: &Path| {
        format!("postgres://watchkeep@localhost:{port}/tls?sslmode=verify-full&sslrootcert={}", ca.display())
    };

    let mut store = open(&address(&ca)).expect("opened").writer().expect("connected");
    let sql = "SELECT CASE WHEN ssl THEN 1 ELSE 0 END FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    assert_eq!(
        reading(&mut store, |tx| tx.query(sql, &[])).expect("read"),
        [[Value::Int(1)]],
        "the server calls it encrypted"
    );

    let error = open(&address(&stranger)).map(drop).expect_err("another's signature").chain();
    assert!(error.starts_with("connect to \"postgres://watchkeep@localhost:"), "{error}");
    assert!(error.contains("certificate"), "{error}");
    let error = open(&address(&folder.path().join("none.pem"))).map(drop).expect_err("no such file").chain();
    assert!(error.starts_with("read the CA of the database, \""), "{error}");
}

/// A certificate for localhost that signs itself, and its key, as PEM.
fn certificate() -> (String, String) {
    let key = rcgen::KeyPair::generate().expect("a key");
    let names = rcgen::CertificateParams::new(["localhost".to_owned()]).expect("a name");
    (names.self_signed(&key).expect("signed").pem(), key.serialize_pem())
}
