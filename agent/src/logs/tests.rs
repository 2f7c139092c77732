use std::fs::{self, OpenOptions};
use std::io::Write as _;

use tempfile::TempDir;

use super::*;
use crate::config::AgentConfig;

/// A folder with logs, and an agent that follows them.
struct World {
    folder: TempDir,
    yaml: String,
    following: Option<Following>,
    seen: Option<mpsc::Receiver<Sighting>>,
}

impl World {
    /// `yaml` is what a log has beside its file, which is `*.log` of the folder.
    fn new(yaml: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let yaml = format!("logs:\n- {{file: \"{}/*.log\", {yaml}}}\n", folder.path().display());
        let mut world = Self { folder, yaml, following: None, seen: None };
        world.restart();
        world
    }

    fn restart(&mut self) {
        let config = AgentConfig::parse("agent.yaml", &self.yaml).unwrap_or_else(|faults| panic!("{faults}"));
        let (out, seen) = mpsc::channel(256);
        self.following = Some(Following::new(&config.logs[0], &self.folder.path().join("state"), out));
        self.seen = Some(seen);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn append(&self, name: &str, text: impl AsRef<[u8]>) {
        let file = OpenOptions::new().create(true).append(true).open(self.path(name));
        file.and_then(|mut file| file.write_all(text.as_ref())).expect("is written");
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).expect("is renamed");
    }

    /// One reading, whose events are kept: each as `labels: text`.
    async fn read(&mut self) -> Vec<String> {
        let following = self.following.as_mut().expect("it follows");
        following.read_once().await;
        let seen = self.seen.as_mut().expect("somebody listens");
        let mut told = Vec::new();
        while let Ok(sighting) = seen.try_recv() {
            watchkeep_protocol::Check::check(&sighting.event).expect("an event that travels");
            let labels = sighting.event.labels.iter().map(|(name, value)| format!("{name}={value}"));
            told.push(format!("{}: {}", labels.collect::<Vec<_>>().join(" "), sighting.event.text));
            let _ = sighting.kept.send(());
        }
        told
    }

    /// Reads until nothing comes any more; the texts alone.
    async fn texts(&mut self) -> Vec<String> {
        let mut all = Vec::new();
        loop {
            let told = self.read().await;
            if told.is_empty() {
                return all;
            }
            all.extend(told.into_iter().map(|event| event.split_once(": ").expect("a text").1.to_owned()));
        }
    }

    fn counts(&self) -> [f64; 3] {
        self.following.as_ref().expect("it follows").counts
    }
}

const EVERY_LINE: &str = "match: '(?P<line>.+)', event: line, labels: [line], events_per_minute: 6000";

#[tokio::test]
async fn what_matches_is_an_event_with_its_labels_and_count() {
    let mut world =
        World::new("match: '(?P<level>ERROR|FATAL) (?P<what>.*)', except: ignore, event: app_error, labels: [level]");
    world.append("a.log", "ERROR old news\n");
    assert_eq!(world.read().await, Vec::<String>::new(), "what was there before is nobody's news");
    world.append("a.log", "INFO fine\nERROR one\nFATAL two\nERROR three\nERROR ignore this\nERROR half");
    let expected = ["count=2 kind=app_error level=ERROR: ERROR one", "count=1 kind=app_error level=FATAL: FATAL two"];
    assert_eq!(world.read().await, expected);
    world.append("a.log", " a line\n");
    assert_eq!(world.read().await, ["count=1 kind=app_error level=ERROR: ERROR half a line"]);
    world.append("new.log", "ERROR in a file that came\n");
    assert_eq!(world.texts().await, ["ERROR in a file that came"]);
    assert_eq!(world.counts(), [7.0, 5.0, 0.0]);
}

#[tokio::test]
async fn rotation_and_truncation_lose_nothing_and_tell_nothing_twice() {
    let mut world = World::new(EVERY_LINE);
    world.append("a.log", "old\n");
    world.texts().await;
    world.append("a.log", "1\n");
    assert_eq!(world.texts().await, ["1"]);
    world.append("a.log", "2\n");
    world.rename("a.log", "a.log.1");
    world.append("a.log.1", "3 written behind the rotation\n");
    world.append("a.log", "4\n");
    assert_eq!(world.texts().await, ["2", "3 written behind the rotation", "4"].map(str::to_owned));
    // Copied and cut, and longer again than it was before anybody looks.
    fs::write(world.path("a.log"), "another start, and more of it\n").expect("is written");
    assert_eq!(world.texts().await, ["another start, and more of it"]);
    fs::write(world.path("a.log"), "").expect("is written");
    assert_eq!(world.texts().await, Vec::<String>::new());
    world.append("a.log", "5\n");
    assert_eq!(world.texts().await, ["5"]);
    fs::remove_file(world.path("a.log")).expect("is removed");
    world.texts().await;
    world.append("a.log", "6\n");
    assert_eq!(world.texts().await, ["6"]);
}

#[tokio::test]
async fn a_restart_goes_on_where_it_was_also_in_a_file_that_was_rotated_meanwhile() {
    let mut world = World::new(EVERY_LINE);
    world.append("a.log", "old\n");
    world.texts().await;
    world.append("a.log", "1\nhalf");
    assert_eq!(world.texts().await, ["1"]);
    world.restart();
    world.append("a.log", " of 2\n");
    assert_eq!(world.texts().await, ["half of 2"]);
    world.append("a.log", "3\n");
    world.rename("a.log", "a.log.1");
    world.append("a.log", "4\n");
    world.restart();
    assert_eq!(world.texts().await, ["3", "4"]);
    world.append("a.log", "5\n");
    fs::write(world.path("state/logs/line.json"), "damaged").expect("is written");
    world.restart();
    assert_eq!(world.texts().await, Vec::<String>::new(), "without what was remembered it begins anew");
}

#[tokio::test]
async fn what_the_spool_did_not_keep_is_told_again() {
    let mut world = World::new(EVERY_LINE);
    world.texts().await;
    world.append("a.log", "1\n");
    let following = world.following.as_mut().expect("it follows");
    following.read_once().await;
    // The agent ends before the event is durable.
    world.seen = None;
    following.read_once().await;
    world.restart();
    assert_eq!(world.texts().await, ["1"]);
}

#[tokio::test]
async fn lines_that_belong_together_are_one_entry() {
    let mut world = World::new("match: '(?s)(?P<what>Exception.*)', event: trace, multiline: '^\\d\\d:'");
    world.texts().await;
    world.append("a.log", "10: fine\n11: Exception\n  at a\n");
    assert_eq!(world.read().await, Vec::<String>::new(), "more may follow");
    world.append("a.log", "  at b\n12: fine\n");
    assert_eq!(world.read().await, ["count=1 kind=trace: 11: Exception\n  at a\n  at b"]);
    world.append("a.log", "13: Exception\n  at c\n");
    assert_eq!(world.read().await, Vec::<String>::new());
    assert_eq!(world.read().await, ["count=1 kind=trace: 13: Exception\n  at c"], "nothing followed");
    world.append("a.log", "14: Exception\n");
    world.read().await;
    world.restart();
    world.append("a.log", "  at d\n15: fine\n");
    assert_eq!(world.texts().await, ["14: Exception\n  at d"], "a restart cuts no entry in two");
}

#[tokio::test]
async fn bytes_that_are_no_text_and_lines_without_end_harm_nobody() {
    let mut world = World::new(EVERY_LINE);
    world.texts().await;
    world.append("a.log", b"caf\xe9\r\n\xff\xfe\0x\n\n\n");
    assert_eq!(world.texts().await, ["caf\u{fffd}", "\u{fffd}\u{fffd}x"]);
    world.append("a.log", vec![b'y'; 3 << 20]);
    world.append("a.log", "\nz\n");
    let texts = world.texts().await;
    assert_eq!((texts.len(), texts[1].as_str()), (2, "z"));
    assert!(texts[0].len() <= limits::TEXT_BYTES);
}

#[tokio::test]
async fn a_flood_is_told_within_bounds_and_the_rest_is_counted() {
    let mut world = World::new("match: '(?P<number>\\d+)', event: flood, labels: [number], events_per_minute: 10");
    world.texts().await;
    let flood: String = (0..5_000).map(|number| format!("{number}\n")).collect();
    world.append("a.log", flood);
    let told = world.read().await;
    assert_eq!(told.len(), 11);
    let last = told.last().expect("some were told");
    assert!(last.starts_with("count=4990 kind=log_events_left_out log=flood: 4990 entries of log \"flood\""), "{last}");
    assert_eq!(world.counts(), [5_000.0, 5_000.0, 4_990.0]);
}

#[tokio::test]
async fn much_at_once_is_read_in_parts_and_whole() {
    let mut world = World::new("match: '(?P<n>x1\\d+)', event: much");
    world.texts().await;
    let line = format!("{} x{}\n", "-".repeat(200), 100_000);
    let lines = (2 * BYTES as usize) / line.len() + 10;
    world.append("a.log", line.repeat(lines));
    world.texts().await;
    assert_eq!(world.counts()[0], lines as f64);
}

#[tokio::test]
async fn what_is_no_file_or_may_not_be_read_holds_up_no_other() {
    let mut world = World::new(EVERY_LINE);
    fs::create_dir(world.path("b.log")).expect("is made");
    std::os::unix::fs::symlink("/no/such/file", world.path("c.log")).expect("is made");
    world.texts().await;
    world.append("a.log", "1\n");
    assert_eq!(world.texts().await, ["1"]);
}

/// A journal of its own, kept by the real journald; gone with the test.
struct Journald {
    child: std::process::Child,
    namespace: String,
}

impl Drop for Journald {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let id = fs::read_to_string("/etc/machine-id").unwrap_or_default();
        for place in ["/var/log/journal", "/run/log/journal"] {
            let _ = fs::remove_dir_all(format!("{place}/{}.{}", id.trim(), self.namespace));
        }
        let _ = fs::remove_dir_all(self.socket_folder());
    }
}

impl Journald {
    fn begin() -> Self {
        let namespace = format!("watchkeep-test-{}", std::process::id());
        let child = std::process::Command::new("/lib/systemd/systemd-journald").arg(&namespace).spawn();
        let journald = Self { child: child.expect("journald runs"), namespace };
        let deadline = Instant::now() + Duration::from_secs(20);
        while !Path::new(&journald.socket_folder()).join("socket").exists() {
            assert!(Instant::now() < deadline, "journald does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        journald
    }

    fn socket_folder(&self) -> String {
        format!("/run/systemd/journal.{}", self.namespace)
    }

    fn log(&self, message: impl AsRef<[u8]>) {
        let socket = std::os::unix::net::UnixDatagram::unbound().expect("a socket");
        socket.send_to(message.as_ref(), Path::new(&self.socket_folder()).join("socket")).expect("journald listens");
    }

    fn await_entry(&self, text: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let shown = std::process::Command::new("journalctl")
                .args(["--quiet", "--output=cat", &format!("--namespace={}", self.namespace)])
                .output()
                .expect("journalctl runs");
            if String::from_utf8_lossy(&shown.stdout).contains(text) {
                return;
            }
            assert!(Instant::now() < deadline, "journald never kept {text:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[tokio::test]
async fn entries_of_the_journal_are_told_from_where_it_was_read_on() {
    if !rustix::process::getuid().is_root() {
        eprintln!("not run: only root may run a journald of its own");
        return;
    }
    let journald = Journald::begin();
    journald.log("MESSAGE=timed out before anybody looked\nPRIORITY=3\nSYSLOG_IDENTIFIER=shop\n");
    journald.await_entry("before anybody looked");
    let mut world = World::new("match: x, event: x");
    world.yaml = format!(
        "logs:\n- {{journal: {{namespace: {}, identifier: shop, priority: err}}, match: 'timed out (?P<why>\\S+)', \
         event: timeout, labels: [why]}}\n",
        journald.namespace
    );
    world.restart();
    assert_eq!(world.read().await, Vec::<String>::new());
    journald.log("MESSAGE=timed out twice\nPRIORITY=3\nSYSLOG_IDENTIFIER=shop\n");
    journald.log("MESSAGE=timed out elsewhere\nPRIORITY=3\nSYSLOG_IDENTIFIER=other\n");
    journald.log("MESSAGE=timed out softly\nPRIORITY=6\nSYSLOG_IDENTIFIER=shop\n");
    journald.log(b"MESSAGE\n\x10\0\0\0\0\0\0\0timed out caf\xe9 !\nPRIORITY=2\nSYSLOG_IDENTIFIER=shop\n".as_slice());
    journald.log("MESSAGE=timed out twice\nPRIORITY=3\nSYSLOG_IDENTIFIER=shop\n");
    journald.log("MESSAGE=the end\nSYSLOG_IDENTIFIER=end\n");
    journald.await_entry("the end");
    let told = world.read().await;
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told[0].starts_with("count=1 kind=timeout") && told[0].contains("why=caf\u{fffd}: timed out caf"),
        "{told:?}"
    );
    assert!(told[1].starts_with("count=2 kind=timeout") && told[1].ends_with("why=twice: timed out twice"), "{told:?}");
    assert_eq!(world.read().await, Vec::<String>::new(), "once");
    journald.log("MESSAGE=timed out meanwhile\nPRIORITY=3\nSYSLOG_IDENTIFIER=shop\n");
    journald.await_entry("meanwhile");
    world.restart();
    assert_eq!(world.texts().await, ["timed out meanwhile"], "a restart goes on where it was");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(16))]
    /// Whatever writing, rotating, reading and starting anew: each line is told once, in order.
    #[test]
    fn each_line_is_told_once(steps in proptest::collection::vec(0..5_u8, 1..30)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let mut world = World::new(EVERY_LINE);
            world.texts().await;
            let (mut written, mut told, mut rotations) = (Vec::new(), Vec::new(), 0);
            for step in steps {
                match step {
                    0 | 1 => {
                        let line = format!("line {:04}", written.len());
                        world.append("a.log", format!("{line}\n"));
                        written.push(line);
                    }
                    // Of two rotations between two looks nobody could know.
                    2 if world.path("a.log").exists() => {
                        told.extend(world.texts().await);
                        let line = format!("line {:04}", written.len());
                        world.append("a.log", format!("{line}\n"));
                        written.push(line);
                        rotations += 1;
                        world.rename("a.log", &format!("a.log.{rotations}"));
                    }
                    3 => {
                        told.extend(world.texts().await);
                        world.restart();
                    }
                    _ => told.extend(world.texts().await),
                }
            }
            told.extend(world.texts().await);
            assert_eq!(told, written);
        });
    }
}
