use std::path::Path;

use super::super::installation_settings;
use super::*;

fn read(text: &str) -> Result<Vec<RemoteWrite>, String> {
    let found = installation_settings(Path::new("watchkeep.yaml"), text).map_err(|faults| faults.to_string())?;
    Ok(found.remote_write)
}

#[test]
fn a_store_needs_its_address_alone() {
    let found = read("remote_write:\n  - url: http://[::1]:8428/api/v1/write?tenant=1\n").expect("it is good");
    let expected = RemoteWrite {
        name: "---1--8428".to_owned(),
        url: "http://[::1]:8428/api/v1/write?tenant=1".to_owned(),
        timeout: 30_000,
        headers: BTreeMap::new(),
        credentials: None,
        ca_file: None,
        relabel: Vec::new(),
        queue: QueueConfig::default(),
    };
    assert_eq!(found, [expected]);
    assert_eq!(read("remote_write:\n"), Ok(Vec::new()));
}

#[test]
fn all_that_can_be_said_is_read() {
    let text = r"
remote_write:
  - name: long-term
    url: https://metrics.example.com/api/v1/write
    remote_timeout: 10s
    headers: {X-Scope-OrgID: fra1}
    authorization: {credentials_file: token}
    tls_config: {ca_file: ca.pem}
    write_relabel_configs:
      - {source_labels: [job, __name__], regex: 'node;go_.*', action: drop}
      - {source_labels: [job], separator: /, action: keep}
    queue_config: {max_samples_per_send: 500, batch_send_deadline: 5s, min_backoff: 1s, max_backoff: 1m, disk_bytes_max: 512MB}
  - url: https://other.example.com/w
    basic_auth: {username: watchkeep, password_file: password}
";
    let found = read(text).expect("they are good");
    let [first, second] = found.as_slice() else { panic!("{found:?}") };
    let step = |labels: &[&str], separator: &str, regex: &str, keep| Relabel {
        source_labels: labels.iter().map(|label| (*label).to_owned()).collect(),
        separator: separator.to_owned(),
        regex: regex.to_owned(),
        keep,
    };
    let expected = RemoteWrite {
        name: "long-term".to_owned(),
        url: "https://metrics.example.com/api/v1/write".to_owned(),
        timeout: 10_000,
        headers: BTreeMap::from([("X-Scope-OrgID".to_owned(), "fra1".to_owned())]),
        credentials: Some(Credentials::Authorization { kind: "Bearer".to_owned(), file: "token".into() }),
        ca_file: Some("ca.pem".into()),
        relabel: vec![step(&["job", "__name__"], ";", "node;go_.*", false), step(&["job"], "/", ".*", true)],
        queue: QueueConfig {
            max_samples_per_send: 500,
            batch_send_deadline: 5_000,
            min_backoff: 1_000,
            max_backoff: 60_000,
            disk_bytes_max: 512 << 20,
        },
    };
    assert_eq!(first, &expected);
    let basic = Credentials::Basic { username: "watchkeep".to_owned(), file: "password".into() };
    assert_eq!((second.name.as_str(), &second.credentials), ("other.example.com", &Some(basic)));
}

#[test]
fn every_fault_of_a_store_is_told_at_its_place() {
    let cases = [
        ("{name: a}", "2:6: a store under 'remote_write' needs 'url'"),
        ("{url: metrics}", "\"metrics\" is no address; write for example https://metrics.example.com/api/v1/write"),
        ("{url: 'http://me:secret@a/w'}", "a secret does not belong in an address"),
        ("{url: 'http://a', name: a/b}", "not \"a/b\""),
        ("{url: 'http://a', headers: {Authorization: x}}", "'Authorization' is set by Watchkeep itself"),
        ("{url: 'http://a', headers: {'X Y': x}}", "'X Y' is no name of a header"),
        ("{url: 'http://a', authorization: {credentials: x}}", "has no key 'credentials': secrets come by file"),
        ("{url: 'http://a', basic_auth: {username: x, password: y}}", "has no key 'password': secrets come by file"),
        (
            "{url: 'http://a', authorization: {credentials_file: x}, basic_auth: {username: x, password_file: y}}",
            "there is 'authorization' already",
        ),
        ("{url: 'http://a', bearer_token: x}", "has no key 'bearer_token': write authorization"),
        ("{url: 'http://a', tls_config: {insecure_skip_verify: true}}", "tls_config has no key 'insecure_skip_verify'"),
        (
            "{url: 'http://a', write_relabel_configs: [{source_labels: [a], action: replace}]}",
            "unknown action 'replace'",
        ),
        (
            "{url: 'http://a', write_relabel_configs: [{source_labels: [a], action: drop, regex: '('}]}",
            "\"(\" is no regular",
        ),
        ("{url: 'http://a', queue_config: {capacity: 5}}", "has no key 'capacity': samples wait on disk"),
        ("{url: 'http://a', queue_config: {max_samples_per_send: 0}}", "a whole number from 1 to 100000"),
        ("{url: 'http://a', queue_config: {max_backoff: 10ms}}", "this is shorter than min_backoff, 30 ms"),
        ("{url: 'http://a', queue_config: {disk_bytes_max: 4}}", "\"4\" is no size; write for example 512MB or 4GB"),
        ("{url: 'http://a', queue_config: {disk_bytes_max: 4KB}}", "1MB at least"),
        ("{url: 'http://a'}\n  - {url: 'https://a/other'}", "3:5: two stores under 'remote_write' are called \"a\""),
    ];
    for (store, says) in cases {
        let said = read(&format!("remote_write:\n  - {store}\n")).expect_err(store);
        assert!(said.contains(says), "not told: {says}\n{said}");
        let faults = said.lines().filter(|line| line.starts_with("watchkeep.yaml:"));
        assert!(faults.count() <= 2, "{store}\n{said}");
    }
}
