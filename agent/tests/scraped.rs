//! node_exporter on this machine, scraped by the built agent: what it says comes out again, under Prometheus's labels.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Ends with the test.
struct Exporter(Child, u16);

impl Drop for Exporter {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Exporter {
    fn begin() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = free.local_addr().expect("is bound").port();
        drop(free);
        let mut command = Command::new("prometheus-node-exporter");
        command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap_or_else(|fault| {
            panic!(
                "node_exporter cannot be run ({fault}); install prometheus-node-exporter, as tests/debian-packages says"
            )
        });
        Self(child, port)
    }

    /// What it answers, once it does.
    fn exposition(&self) -> String {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            match self.ask() {
                Ok(text) if text.contains("node_load1 ") => return text,
                other => assert!(Instant::now() < deadline, "node_exporter does not answer: {other:?}"),
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn ask(&self) -> std::io::Result<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.1))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    }
}

/// Each series without its value, as a set of words: the name and the labels.
fn series(text: &str) -> BTreeSet<BTreeSet<String>> {
    let is_series = |line: &&str| line.starts_with("node_") || line.starts_with("go_") || line.starts_with("process_");
    text.lines().filter(is_series).filter_map(|line| line.rsplit_once(' ')).map(|(series, _)| words(series)).collect()
}

/// `name{a="1",b="2"}` in parts; no value of these exporters holds the three signs that are cut at.
fn words(series: &str) -> BTreeSet<String> {
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    let labels = labels.trim_end_matches('}').split("\",").filter(|label| !label.is_empty());
    let labels = labels.map(|label| label.trim_end_matches('"').to_owned());
    labels.filter(|label| !label.ends_with('=')).chain([name.to_owned()]).collect()
}

/// Interfaces and mounts of other tests come and go between two looks.
fn stays(series: &BTreeSet<String>) -> bool {
    let passing = ["device=\"veth", "device=\"wk", "device=\"ifb", "mountpoint="];
    !series.iter().any(|word| passing.iter().any(|start| word.starts_with(start)))
}

#[test]
fn what_node_exporter_says_comes_out_of_the_agent_with_job_and_instance() {
    let exporter = Exporter::begin();
    let theirs = series(&exporter.exposition());
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("agent.yaml");
    let text = format!(
        "scrape_configs:\n  - job_name: other-node\n    static_configs: [{{targets: ['localhost:{}'], labels: {{zone: a}}}}]\n\
         paths: {{state: {}/state}}\n",
        exporter.1,
        folder.path().display()
    );
    std::fs::write(&config, text).expect("is written");
    let output =
        Command::new(env!("CARGO_BIN_EXE_watchkeep-agent")).arg("--config").arg(&config).arg("metrics").output();
    let output = output.expect("the agent runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let ours = String::from_utf8_lossy(&output.stdout);

    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").expect("a host has a name");
    let instance = format!("instance=\"{}:{}", host.trim(), exporter.1);
    let own: BTreeSet<String> =
        ["job=\"other-node", "zone=\"a"].map(str::to_owned).into_iter().chain([instance]).collect();
    let scraped: BTreeSet<BTreeSet<String>> = series(&ours).into_iter().filter(|words| own.is_subset(words)).collect();
    let wanted: Vec<BTreeSet<String>> = theirs.iter().filter(|series| stays(series)).cloned().collect();
    assert!(wanted.len() > 300, "only {} series are compared", wanted.len());
    let missing: Vec<_> = wanted.iter().filter(|series| !scraped.contains(&(*series | &own))).collect();
    assert!(missing.is_empty(), "node_exporter says them and they did not come out: {missing:#?}");
    let up = ours.lines().find(|line| line.starts_with("up{") && line.contains("other-node")).expect("up is told");
    assert!(up.ends_with("} 1"), "{up}");
}
