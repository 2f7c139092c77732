use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::*;
use crate::config::AgentConfig;
use crate::http::testing::Server;

/// The check that this line of YAML makes, and what it tells.
fn checking(line: &str) -> (Checking, mpsc::Receiver<Sighting>) {
    let text = format!("interval: 1s\nchecks:\n- {line}\n");
    let config = AgentConfig::parse("agent.yaml", &text).unwrap_or_else(|faults| panic!("{line}: {faults}"));
    let (out, told) = mpsc::channel(16);
    (Checking::new(&config.checks[0], "web-3", Some(out)), told)
}

/// One reading: the series without `job` and `probe`.
async fn read(checking: &mut Checking) -> BTreeMap<String, f64> {
    checking.read_once().await;
    let mut found = BTreeMap::new();
    for (block, row) in checking.book.pages() {
        let (names, metrics) = (&block.template.instance_labels, &block.template.metrics);
        for (place, value) in row.values.iter().enumerate().filter(|(place, _)| row.flags[*place] == 0) {
            let labels = names.iter().zip(&block.instances[place / metrics.len()].values);
            let labels = labels.filter(|(name, _)| !["job", "probe"].contains(&name.as_str()));
            let labels: Vec<String> = labels.map(|(name, value)| format!("{name}={value}")).collect();
            found.insert(format!("{}{{{}}}", metrics[place % metrics.len()].name, labels.join(",")), *value);
        }
    }
    found
}

/// The events told: state, and the text.
fn told(receiver: &mut mpsc::Receiver<Sighting>) -> Vec<(String, String)> {
    std::iter::from_fn(|| receiver.try_recv().ok())
        .map(|sighting| {
            let _ = sighting.kept.send(());
            let event = sighting.event;
            watchkeep_protocol::Check::check(&event).expect("an event that travels");
            (format!("{} {}", event.labels["kind"], event.labels["state"]), event.text)
        })
        .collect()
}

#[tokio::test]
async fn a_port_is_open_or_not_and_the_change_is_told_with_its_reason() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let at = listener.local_addr().expect("is bound");
    let (mut checking, mut events) = checking(&format!("{{name: db, tcp: \"{at}\", labels: {{tier: data}}}}"));
    let name = |metric: &str| format!("{metric}{{tier=data,instance=web-3:{}}}", at.port());
    let found = read(&mut checking).await;
    assert_eq!(found.get(&name("probe_success")), Some(&1.0), "{found:?}");
    assert_eq!(found.get(&name("probe_ip_protocol")), Some(&4.0));
    assert!(
        found.contains_key(&name("probe_duration_seconds"))
            && found.contains_key(&name("probe_dns_lookup_time_seconds"))
    );
    assert_eq!(told(&mut events), [], "good from the start is no news");
    drop(listener);
    for _ in 0..2 {
        assert_eq!(read(&mut checking).await.get(&name("probe_success")), Some(&0.0));
    }
    let all = told(&mut events);
    assert_eq!(all.len(), 1, "told once: {all:?}");
    assert!(all[0].0 == "check_failed critical" && all[0].1.starts_with(&format!("connect to {at}: ")), "{all:?}");
    let _again = TcpListener::bind(at).expect("the port is free again");
    assert_eq!(read(&mut checking).await.get(&name("probe_success")), Some(&1.0));
    assert_eq!(told(&mut events), [("check_recovered ok".to_owned(), format!("{at} takes connections"))]);
}

#[tokio::test]
async fn an_answer_is_judged_by_status_and_body() {
    let answer = |status: &str| format!("HTTP/1.1 {status}\r\nContent-Length: 12\r\n\r\nall is well\n");
    for (status, expect, why) in [
        ("200 OK", "{}", ""),
        ("204 No", "{}", ""),
        ("500 No", "{}", "answers with status 500, not 2xx"),
        ("404 No", "{status: 404}", ""),
        ("200 OK", "{status: [201, 301]}", "answers with status 200, not 201 or 301"),
        ("200 OK", "{body: well}", ""),
        ("200 OK", "{body: [well, bad]}", "does not hold \"bad\""),
        ("200 OK", "{not_body: well}", "holds \"well\""),
    ] {
        let server = Server::saying(answer(status));
        let (mut checking, mut events) =
            checking(&format!("{{name: shop, http: \"{}\", expect: {expect}}}", server.url("/health?x=1")));
        let found = read(&mut checking).await;
        let name = |metric: &str| format!("{metric}{{instance=http://web-3:{}/health?x=1}}", server.address.port());
        assert_eq!(found.get(&name("probe_success")), Some(&f64::from(u8::from(why.is_empty()))), "{status} {expect}");
        let code: f64 = status[..3].parse().expect("a status");
        assert_eq!(found.get(&name("probe_http_status_code")), Some(&code), "{found:?}");
        assert_eq!(found.get(&name("probe_http_version")), Some(&1.1));
        let by_body = expect.contains("body") && !why.is_empty();
        assert_eq!(found.get(&name("probe_failed_due_to_regex")), Some(&f64::from(u8::from(by_body))));
        let phases = found.keys().filter(|name| name.starts_with("probe_http_duration_seconds{")).count();
        assert_eq!(phases, 5, "{found:?}");
        let events = told(&mut events);
        assert_eq!(events.is_empty(), why.is_empty());
        assert!(events.iter().all(|(_, text)| text.contains(why)), "{events:?}");
    }
}

#[tokio::test]
async fn who_does_not_answer_in_time_fails_with_the_series_of_a_failure() {
    let server = Server::answering(|_, _| std::thread::sleep(Duration::from_secs(2)));
    let (mut checking, mut events) =
        checking(&format!("{{name: slow, http: \"{}\", timeout: 100ms}}", server.url("/")));
    let began = Instant::now();
    let found = read(&mut checking).await;
    assert!(began.elapsed() < Duration::from_secs(2));
    let success = found.iter().find(|(name, _)| name.starts_with("probe_success")).map(|(_, value)| *value);
    assert_eq!(success, Some(0.0));
    assert_eq!(told(&mut events)[0].1, "no answer within 100ms");
}

/// A key and a certificate of its own for `localhost`, good for so many days.
fn certificate(folder: &TempDir, name: &str, days: &str) -> (PathBuf, PathBuf) {
    let (key, certificate) = (folder.path().join(format!("{name}.key")), folder.path().join(format!("{name}.pem")));
    let mut command = Command::new("openssl");
    command.args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        days,
    ]);
    command.args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]);
    command.args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout"]);
    let made = command.arg(&key).arg("-out").arg(&certificate).stderr(Stdio::null()).status();
    assert!(made.expect("openssl, as tests/debian-packages says").success());
    (key, certificate)
}

/// When a certificate ends, as openssl says it.
fn end_of(certificate: &Path) -> f64 {
    let said = Command::new("openssl")
        .args(["x509", "-enddate", "-noout", "-dateopt", "iso_8601", "-in"])
        .arg(certificate)
        .output();
    let said = String::from_utf8(said.expect("openssl runs").stdout).expect("is text");
    let date = said.trim().trim_start_matches("notAfter=");
    let seconds = Command::new("date").args(["-u", "+%s", "-d", date]).output().expect("date runs").stdout;
    String::from_utf8(seconds).expect("is text").trim().parse().expect("a number")
}

/// `openssl s_server`; ends with the test.
struct Secured(Child, u16);

impl Drop for Secured {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Secured {
    fn begin(key: &Path, certificate: &Path) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
        let mut command = Command::new("openssl");
        command.args(["s_server", "-www", "-quiet", "-accept", &format!("127.0.0.1:{port}"), "-key"]).arg(key);
        command.arg("-cert").arg(certificate).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let server = Self(command.spawn().expect("openssl runs"), port);
        let deadline = Instant::now() + Duration::from_secs(20);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "openssl s_server does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        server
    }
}

#[tokio::test]
async fn the_expiry_of_a_certificate_is_told_whether_it_is_believed_or_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let (key, certificate) = certificate(&folder, "shop", "30");
    let (server, ends) = (Secured::begin(&key, &certificate), end_of(&certificate));
    let ca = format!("tls_config: {{ca_file: \"{}\"}}", certificate.display());
    // Whom nobody vouches for, and a name that it does not have.
    let other = format!("tls_config: {{ca_file: \"{}\", server_name: other.example}}", certificate.display());
    for (what, settings, good) in [
        ("http: \"https://localhost:PORT/\"", ca.as_str(), 1.0),
        ("http: \"https://localhost:PORT/\"", "tls_config: {}", 0.0),
        ("http: \"https://localhost:PORT/\"", "tls_config: {insecure_skip_verify: true}", 1.0),
        ("tcp: \"localhost:PORT\"", ca.as_str(), 1.0),
        ("tcp: \"localhost:PORT\"", other.as_str(), 0.0),
    ] {
        let what = what.replace("PORT", &server.1.to_string());
        let (mut checking, mut events) = checking(&format!("{{name: shop, {what}, {settings}}}"));
        let found = read(&mut checking).await;
        let value = |metric: &str| found.iter().find(|(name, _)| name.starts_with(metric)).map(|(_, value)| *value);
        assert_eq!(value("probe_success"), Some(good), "{what} {settings}: {:?}", told(&mut events));
        assert_eq!(value("probe_ssl_earliest_cert_expiry"), Some(ends), "{what} {settings}");
        let version = found.contains_key("probe_tls_version_info{version=TLS 1.3}")
            || found.keys().any(|name| name.contains("version=TLS 1.3"));
        assert_eq!(version, good > 0.0, "{found:?}");
    }
}

#[tokio::test]
async fn certificates_in_files_are_told_each_by_its_path() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_, first) = certificate(&folder, "a", "30");
    let (_, second) = certificate(&folder, "b", "90");
    let at = folder.path().display();
    let (mut checking, mut events) = checking(&format!("{{name: certs, certificates: \"{at}\"}}"));
    let found = read(&mut checking).await;
    for path in [&first, &second] {
        let instance = format!("{{instance=web-3:{}}}", path.display());
        assert_eq!(found.get(&format!("probe_ssl_earliest_cert_expiry{instance}")), Some(&end_of(path)), "{found:?}");
        assert_eq!(found.get(&format!("probe_success{instance}")), Some(&1.0));
    }
    assert_eq!(found.get("probe_success{instance=web-3}"), Some(&1.0), "the keys beside them are no fault");
    // One that ends sooner in the same file counts; a broken one and one that is gone are faults.
    let both =
        std::fs::read_to_string(&first).expect("is there") + &std::fs::read_to_string(&second).expect("is there");
    std::fs::write(&second, both).expect("is written");
    std::fs::write(&first, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").expect("is written");
    let found = read(&mut checking).await;
    let name = |metric: &str, path: &Path| format!("{metric}{{instance=web-3:{}}}", path.display());
    assert_eq!(found.get(&name("probe_success", &first)), Some(&0.0));
    assert_eq!(found.get(&name("probe_ssl_earliest_cert_expiry", &first)), None);
    let sooner = found[&name("probe_ssl_earliest_cert_expiry", &second)];
    assert!(sooner < end_of(&second) + 70.0 * 86_400.0 && sooner > 0.0);
    let all = told(&mut events);
    assert!(all.len() == 1 && all[0].1.contains("holds what is no certificate"), "{all:?}");

    let (mut checking, mut events) =
        self::checking(&format!("{{name: none, certificates: [\"{at}/*.nothing\", \"{at}/gone.pem\"]}}"));
    assert_eq!(read(&mut checking).await.get("probe_success{instance=web-3}"), Some(&0.0));
    let all = told(&mut events);
    assert!(all[0].1.contains("names no file; and 1 more"), "{all:?}");
}

fn script(folder: &TempDir, text: &str) -> String {
    let path = folder.path().join("plugin");
    let mut file = std::fs::File::create(&path).expect("is made");
    file.write_all(format!("#!/bin/sh\n{text}").as_bytes()).expect("is written");
    file.set_permissions(std::fs::Permissions::from_mode(0o755)).expect("is set");
    path.display().to_string()
}

#[tokio::test]
async fn a_plugin_s_state_text_and_performance_data_come_through() {
    let folder = tempfile::tempdir().expect("a folder");
    for (code, good, told_as) in [
        (0, 1.0, None),
        (1, 1.0, Some("check_failed warning")),
        (2, 0.0, Some("check_failed critical")),
        (3, 0.0, Some("check_failed unknown")),
        (7, 0.0, Some("check_failed unknown")),
    ] {
        let program = script(&folder, &format!("echo \"STATE - $1 is so | free=20%;10:;5: used=3KB\"\nexit {code}\n"));
        let (mut checking, mut events) = checking(&format!("{{name: raid, plugin: [\"{program}\", /dev/md0]}}"));
        let found = read(&mut checking).await;
        assert_eq!(found.get("probe_success{instance=web-3}"), Some(&good), "{code}");
        assert_eq!(found.get("probe_plugin_status{instance=web-3}"), Some(&f64::from(code.min(3))), "{code}");
        assert_eq!(found.get("probe_perfdata_value{instance=web-3,label=free,unit=percent}"), Some(&20.0), "{found:?}");
        assert_eq!(found.get("probe_perfdata_value{instance=web-3,label=used,unit=bytes}"), Some(&3072.0));
        let threshold = "probe_perfdata_threshold{bound=lower,instance=web-3,label=free,state=critical,unit=percent}";
        assert_eq!(found.get(threshold), Some(&5.0), "{found:?}");
        let all = told(&mut events);
        assert_eq!(all.first().map(|(state, _)| state.as_str()), told_as);
        assert!(all.iter().all(|(_, text)| text.ends_with("STATE - /dev/md0 is so")), "{all:?}");
    }
}

#[tokio::test]
async fn a_plugin_that_hangs_is_killed_with_all_that_it_started() {
    let folder = tempfile::tempdir().expect("a folder");
    let pids = folder.path().join("pids");
    let program = script(&folder, &format!("sleep 1000 &\necho $! $$ > {}\nwait\n", pids.display()));
    let (mut checking, mut events) = checking(&format!("{{name: hangs, plugin: [\"{program}\"], timeout: 500ms}}"));
    let found = read(&mut checking).await;
    assert_eq!(found.get("probe_plugin_status{instance=web-3}"), Some(&3.0));
    assert!(told(&mut events)[0].1.contains("has not ended within 500ms"));
    let pids = std::fs::read_to_string(pids).expect("it wrote them");
    let deadline = Instant::now() + Duration::from_secs(20);
    for pid in pids.split_whitespace() {
        let stat = format!("/proc/{pid}/stat");
        // One that is dead and not reaped yet runs no more.
        while std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
            assert!(Instant::now() < deadline, "process {pid} still runs");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test]
async fn output_without_end_and_programs_that_are_not_there_harm_nobody() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = script(&folder, "yes 'x | a=1' | head -c 3000000\nexit 0\n");
    let (mut checking, _events) = checking(&format!("{{name: floods, plugin: [\"{program}\"]}}"));
    assert_eq!(read(&mut checking).await.get("probe_plugin_status{instance=web-3}"), Some(&0.0));
    let (mut checking, mut events) = self::checking("{name: gone, plugin: [/no/such/plugin]}");
    assert_eq!(read(&mut checking).await.get("probe_plugin_status{instance=web-3}"), Some(&3.0));
    assert!(told(&mut events)[0].1.starts_with("start \"/no/such/plugin\": No such file"));
    let program = script(&folder, "(sleep 600) &\necho 'OK - done'\nexit 0\n");
    let (mut checking, _events) =
        self::checking(&format!("{{name: leaves, plugin: [\"{program}\"], timeout: 20s, interval: 30s}}"));
    let began = Instant::now();
    assert_eq!(read(&mut checking).await.get("probe_plugin_status{instance=web-3}"), Some(&0.0));
    assert!(began.elapsed() < Duration::from_secs(10), "what it left behind delays nobody");
}

#[tokio::test]
async fn a_command_s_json_becomes_series() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = script(&folder, "echo '{\"queue\": {\"depth\": 7, \"paused\": false}, \"name\": \"x\"}'\n");
    let (mut checking, mut events) = checking(&format!("{{name: queue, command: [\"{program}\"]}}"));
    let found = read(&mut checking).await;
    assert_eq!(found.get("probe_json_value{instance=web-3,path=queue.depth}"), Some(&7.0), "{found:?}");
    assert_eq!(found.get("probe_json_value{instance=web-3,path=queue.paused}"), Some(&0.0));
    assert_eq!(found.get("probe_success{instance=web-3}"), Some(&1.0));
    script(&folder, "echo nonsense\n");
    let found = read(&mut checking).await;
    assert_eq!((found.get("probe_success{instance=web-3}"), found.len()), (Some(&0.0), 2));
    script(&folder, "echo broken >&2; exit 9\n");
    read(&mut checking).await;
    let all = told(&mut events);
    assert!(all.len() == 1 && all[0].1.starts_with("what it prints is no JSON"), "{all:?}");
}

/// The plugins that Debian ships, as they are.
#[tokio::test]
async fn monitoring_plugins_of_debian_are_understood() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("is bound").port().to_string();
    let folder = "/usr/lib/nagios/plugins";
    assert!(Path::new(folder).is_dir(), "install monitoring-plugins-basic, as tests/debian-packages says");
    for (argv, value) in [
        (format!("{folder}/check_tcp, -H, 127.0.0.1, -p, \"{port}\""), "label=time,unit=seconds"),
        (format!("{folder}/check_load, -w, \"900,900,900\", -c, \"999,999,999\""), "label=load1"),
        (format!("{folder}/check_procs, -w, \"90000\""), "label=procs"),
    ] {
        let (mut checking, mut events) = checking(&format!("{{name: plugin, plugin: [{argv}]}}"));
        let found = read(&mut checking).await;
        assert_eq!(found.get("probe_success{instance=web-3}"), Some(&1.0), "{argv}: {:?}", told(&mut events));
        let name = format!("probe_perfdata_value{{instance=web-3,{value}}}");
        assert!(found.get(&name).is_some_and(|value| *value >= 0.0), "{argv}: {found:?}");
    }
}
