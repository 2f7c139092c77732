use std::path::Path;
use std::time::Duration;

use prost::Message as _;
use ring::digest::{SHA256, digest};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use watchkeep_protocol::command::{File, Run, Script, signed_bytes};
use watchkeep_protocol::{Action, Command, CommandBody, CommandResult, Outcome, Signature};

use super::client::{Client, News};
use super::judge::Known;
use super::server::{Act, ActError, Settings};
use super::since_boot_ms;
use crate::enrol::Authority;
use crate::policy::Policy;

const NONCE: [u8; 16] = [4; 16];
const POLICY: &str =
    "allow:\n  - run: {argv: [/bin/sh, '*']}\ndeny:\n  - run: {argv: [/bin/sh, -c, 'rm *']}\nuser: '0'\n";

fn key(seed: u8) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).expect("32 bytes")
}

fn signed(body: &CommandBody, key: &Ed25519KeyPair) -> Command {
    let body = body.encode_to_vec();
    let id = digest(&SHA256, key.public_key().as_ref()).as_ref()[..8].to_vec();
    let signature = key.sign(&signed_bytes(&body)).as_ref().to_vec();
    Command { body, signatures: vec![Signature { key: id, signature }] }
}

fn body(id: u8, argv: &[&str]) -> CommandBody {
    CommandBody {
        id: vec![id; 16],
        agent: "web-1".into(),
        run: "RUN-7".into(),
        step: 2,
        attempt: 1,
        plan_hash: vec![1; 32],
        epoch: 5,
        session_nonce: NONCE.to_vec(),
        expires_after_ms: 60_000,
        timeout_ms: 5_000,
        action: Some(Action::Run(Run { argv: argv.iter().map(|word| (*word).to_owned()).collect(), ..Run::default() })),
    }
}

#[test]
fn each_refusal_has_its_word_and_reason() {
    let good = body(1, &["/bin/sh", "-c", "true"]);
    let with = |change: fn(&mut CommandBody)| {
        let mut changed = good.clone();
        change(&mut changed);
        signed(&changed, &key(1))
    };
    let forged = |change: fn(&mut Command)| {
        let mut command = signed(&good, &key(1));
        change(&mut command);
        command
    };
    let cases: Vec<(Command, &str, &str)> = vec![
        (forged(|c| c.body = vec![0xff; 9]), "malformed", "the command's body does not decode"),
        (with(|b| b.id.push(0)), "malformed", "command id: 17 bytes, not 16"),
        (with(|b| b.action = None), "malformed", "action: none that is known here"),
        (forged(|c| c.signatures.clear()), "signature", "the command is not signed"),
        (signed(&good, &key(2)), "signature", "the command is signed by no key that this host was given at enrolment"),
        (
            forged(|c| c.signatures[0].signature[5] ^= 1),
            "signature",
            "the signature is not that of the command's content",
        ),
        (
            forged(|c| {
                let mut body = CommandBody::decode(c.body.as_slice()).expect("a body");
                body.agent = "web-2".into();
                c.body = body.encode_to_vec();
            }),
            "signature",
            "the signature is not that of the command's content",
        ),
        (with(|b| b.agent = "web-2".into()), "agent", "the command is for \"web-2\", this is \"web-1\""),
        (
            with(|b| b.session_nonce = vec![9; 16]),
            "nonce",
            "the command answers no nonce of this process; it was ordered for an earlier one",
        ),
        (with(|b| b.expires_after_ms = 1_000), "expired", "the command expired 500 ms ago"),
        (with(|b| b.expires_after_ms = 1_500), "expired", "the command expired 0 ms ago"),
        (with(|b| b.epoch = 3), "epoch", "the command is of epoch 3, 4 has begun"),
        (with(|b| b.id = vec![8; 16]), "replayed", "a command of this id was taken before"),
        (
            signed(&body(1, &["/bin/sh", "-c", "rm -r x"]), &key(1)),
            "policy",
            "policy.yaml:4 denies run /bin/sh -c rm -r x",
        ),
        (signed(&body(1, &["/bin/ls"]), &key(1)), "policy", "no line of policy.yaml allows run /bin/ls"),
        (
            signed(&body(1, &["/bin/../bin/sh"]), &key(1)),
            "policy",
            "\"/bin/../bin/sh\" leads upwards; name the program by its plain path",
        ),
        (
            signed(&body(1, &["no-such-program"]), &key(1)),
            "policy",
            "no program \"no-such-program\" on /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        ),
        (
            with(|b| {
                let Some(Action::Run(run)) = &mut b.action else { return };
                run.environment.insert("LD_PRELOAD".into(), "/tmp/x.so".into());
            }),
            "policy",
            "no policy allows setting LD_PRELOAD; LANG, LC_ALL, TZ may be set",
        ),
    ];
    let mut known = Known::new("web-1", vec![key(1).public_key().as_ref().to_vec()], 4);
    known.drew(NONCE, 10_000);
    let policy = Policy::parse("policy.yaml", POLICY).map_err(|faults| faults.to_string());
    let judge = |command: &Command| known.judge(command, 11_500, |id| id[0] == 8, &policy);
    for (command, word, reason) in cases {
        let refusal = judge(&command).expect_err(reason);
        assert_eq!((refusal.word, refusal.reason.as_str()), (word, reason));
        let result = refusal.result(3);
        assert_eq!(watchkeep_protocol::Check::check(&result), Ok(()), "{reason}");
    }
    let granted = judge(&signed(&good, &key(1))).expect("granted");
    assert_eq!(granted.by, "policy.yaml:2 allows run /bin/sh -c true");
    assert_eq!(granted.result().policy, granted.by, "each result of it carries the line");
    let no_policy = Err("it is gone".to_owned());
    let refusal = known.judge(&signed(&good, &key(1)), 11_500, |_| false, &no_policy).expect_err("refused");
    assert_eq!(refusal.reason, "nothing is allowed, as the policy cannot be used: it is gone");
}

#[test]
fn a_second_signature_by_a_key_of_tomorrow_does_no_harm() {
    let good = body(1, &["/bin/sh"]);
    let mut command = signed(&good, &key(1));
    command.signatures.insert(0, signed(&good, &key(2)).signatures.remove(0));
    let mut known = Known::new("web-1", vec![key(1).public_key().as_ref().to_vec()], 0);
    known.drew(NONCE, 0);
    let policy = Policy::parse("policy.yaml", POLICY).map_err(|faults| faults.to_string());
    assert!(known.judge(&command, 1, |_| false, &policy).is_ok());
}

/// An `act` in a folder, with a client.
struct Host {
    folder: tempfile::TempDir,
}

impl Host {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let command_keys =
            vec![base64::Engine::encode(&base64::engine::general_purpose::STANDARD, key(1).public_key().as_ref())];
        let authority = Authority { agent: "web-1".into(), command_keys };
        let text = serde_json::to_string(&authority).expect("JSON");
        std::fs::write(folder.path().join("authority.json"), text).expect("written");
        let own = rustix::process::getuid().as_raw();
        let policy = POLICY.replace("'0'", &format!("'{own}'"));
        std::fs::write(folder.path().join("policy.yaml"), policy).expect("written");
        Self { folder }
    }

    fn settings(&self) -> Settings {
        let at = |name: &str| self.folder.path().join(name);
        Settings { state: self.folder.path().to_owned(), policy: at("policy.yaml"), socket: at("act.sock"), peer: None }
    }

    /// Runs `work` with a client of a running `act`, which is then gone as by a crash.
    fn live(&self, work: impl AsyncFnOnce(&mut Client)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let act = Act::open(self.settings()).expect("opens");
            let listener = act.bind().expect("listens");
            let serving = tokio::task::spawn_local(act.serve(listener));
            let mut client = Client::begin(self.settings().socket);
            let bounded = tokio::time::timeout(Duration::from_secs(20), work(&mut client));
            bounded.await.expect("it is done within 20 s");
            serving.abort();
        });
    }
}

async fn nonce(client: &mut Client) -> Vec<u8> {
    loop {
        if let News::Greeting(greeting) = client.news().await {
            return greeting.nonce;
        }
    }
}

async fn outcome(client: &mut Client) -> (u64, CommandResult) {
    loop {
        if let News::Outcome { ticket, result } = client.news().await {
            return (ticket, result);
        }
    }
}

fn order(id: u8, nonce: &[u8], script: &str) -> CommandBody {
    CommandBody { session_nonce: nonce.to_vec(), ..body(id, &["sh", "-c", script]) }
}

fn word(result: &CommandResult) -> (Outcome, &str) {
    (Outcome::try_from(result.outcome).expect("an outcome"), result.refusal.as_str())
}

#[test]
fn commands_are_carried_out_once_and_results_kept_until_confirmed() {
    let host = Host::new();
    // The policy names `/bin/sh`; on a merged /usr the fixed PATH finds `/usr/bin/sh` first.
    let policy = std::fs::read_to_string(host.settings().policy).expect("a policy");
    std::fs::write(host.settings().policy, policy.replace("/bin/sh", "sh")).expect("written");
    host.live(async |client| {
        let nonce = nonce(client).await;
        let first = signed(&order(1, &nonce, "echo out; echo err >&2; exit 3"), &key(1));
        assert!(client.command(first.clone()));
        let (ticket, result) = outcome(client).await;
        assert_eq!(word(&result), (Outcome::Failed, ""));
        assert_eq!((result.exit, result.reason.as_str()), (Some(3), "it exited with status 3"));
        assert_eq!((result.stdout.as_slice(), result.stderr.as_slice()), (&b"out\n"[..], &b"err\n"[..]));
        assert_eq!((result.run.as_str(), result.step, result.attempt), ("RUN-7", 2, 1));
        client.command(first);
        let (_, again) = outcome(client).await;
        assert_eq!(word(&again), (Outcome::Refused, "replayed"));
        client.kept(ticket);
        // The environment is ours, the limits hold.
        client.command(signed(&order(2, &nonce, "env; head -c 100000 /dev/zero"), &key(1)));
        let (ticket, result) = outcome(client).await;
        let shown = String::from_utf8_lossy(&result.stdout);
        assert!(shown.contains("LANG=C.UTF-8") && !shown.contains("CARGO"), "{shown:.200}");
        assert_eq!((result.stdout.len(), word(&result).0), (64 << 10, Outcome::Done));
        assert!(result.cut > 30_000 && result.changed);
        client.kept(ticket);
        let mut slow = order(3, &nonce, "sleep 60 & sleep 60");
        slow.timeout_ms = 300;
        client.command(signed(&slow, &key(1)));
        let (_, result) = outcome(client).await;
        assert_eq!(word(&result).0, Outcome::TimedOut);
        assert_eq!(result.reason, "it was still running after 300 ms and was ended");
        tokio::time::sleep(Duration::from_millis(100)).await;
    });
    // What was confirmed stays away; what was not comes again, with the same id.
    host.live(async |client| {
        let (_, result) = outcome(client).await;
        assert_eq!((result.id[0], word(&result).0), (3, Outcome::TimedOut));
        let fresh = nonce_again(client).await;
        client.command(signed(&order(1, &fresh, "true"), &key(1)));
        let (_, again) = outcome(client).await;
        assert_eq!(word(&again), (Outcome::Refused, "replayed"), "a start forgets no id");
        let older = CommandBody { epoch: 4, ..order(9, &fresh, "true") };
        client.command(signed(&older, &key(1)));
        let (_, refused) = outcome(client).await;
        assert_eq!(word(&refused), (Outcome::Refused, "epoch"), "nor the epoch");
    });
}

async fn nonce_again(client: &mut Client) -> Vec<u8> {
    client.greet();
    nonce(client).await
}

#[test]
fn a_command_in_the_middle_when_act_goes_down_is_unknown() {
    let host = Host::new();
    let policy = std::fs::read_to_string(host.settings().policy).expect("a policy");
    std::fs::write(host.settings().policy, policy.replace("/bin/sh", "sh")).expect("written");
    let mark = host.folder.path().join("mark");
    let script = format!("touch {}; sleep 30", mark.display());
    host.live(async |client| {
        let nonce = nonce(client).await;
        client.command(signed(&order(1, &nonce, &script), &key(1)));
        while !mark.exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    host.live(async |client| {
        let (_, result) = outcome(client).await;
        assert_eq!(word(&result).0, Outcome::Unknown);
        assert_eq!(result.run, "RUN-7");
        assert!(result.reason.contains("nobody knows how it ended"), "{}", result.reason);
    });
}

#[test]
fn a_script_reads_its_arguments_and_leaves_no_file() {
    let host = Host::new();
    let own = rustix::process::getuid().as_raw();
    let policy = format!("allow:\n  - script: {{interpreter: [sh, -eu], sha256: '*'}}\nuser: '{own}'\n");
    std::fs::write(host.settings().policy, policy).expect("written");
    let content = "echo \"$0\"; printf '%s|' \"$@\"; exit 4\n";
    let file = std::env::temp_dir().join(format!("watchkeep-{}", "a1".repeat(16)));
    host.live(async |client| {
        let script = Script {
            argv: vec!["sh".into(), "-eu".into()],
            content: content.into(),
            arguments: vec!["a b".into(), "$(id)".into()],
        };
        let ordered = CommandBody { action: Some(Action::Script(script)), ..order(0xa1, &nonce(client).await, "") };
        client.command(signed(&ordered, &key(1)));
        let (_, result) = outcome(client).await;
        assert_eq!((word(&result).0, result.exit), (Outcome::Failed, Some(4)), "{}", result.reason);
        let said = String::from_utf8_lossy(&result.stdout).into_owned();
        assert_eq!(said, format!("{}\na b|$(id)|", file.display()));
    });
    assert!(!file.exists());
}

#[test]
fn a_file_is_brought_to_its_state_once_and_never_through_a_link() {
    let host = Host::new();
    let folder = std::fs::canonicalize(host.folder.path()).expect("a folder");
    let policy = format!("allow:\n  - file: {{path: '{}/*', state: [file, directory, absent]}}\n", folder.display());
    std::fs::write(host.settings().policy, policy).expect("written");
    let (wanted, link) = (folder.join("limits.conf"), folder.join("link"));
    std::os::unix::fs::symlink("/etc", &link).expect("a link");
    let file = |path: &Path, state: &str, content: Option<&str>, mode| File {
        path: path.display().to_string(),
        state: state.into(),
        content: content.map(str::to_owned),
        mode,
        ..File::default()
    };
    // What is ordered, what becomes of it, and what is said.
    let cases = [
        (file(&wanted, "file", None, None), Outcome::Failed, "is not there, and no content is given"),
        (file(&wanted, "file", Some("a\n"), Some(0o640)), Outcome::Done, "wrote 2 bytes"),
        (file(&wanted, "file", Some("a\n"), Some(0o640)), Outcome::Done, "it was so already"),
        (file(&wanted, "file", Some("bc\n"), None), Outcome::Done, "wrote 3 bytes"),
        (file(&wanted, "directory", None, None), Outcome::Failed, "is a file"),
        (file(&folder.join("a"), "directory", None, Some(0o750)), Outcome::Done, "made"),
        (file(&folder.join("a/b"), "file", Some("x"), None), Outcome::Done, "wrote 1 bytes"),
        (file(&folder.join("a"), "absent", None, None), Outcome::Failed, "not empty"),
        (file(&folder.join("nosuch/b"), "file", Some("x"), None), Outcome::Failed, "No such file or directory"),
        (file(&link.join("motd"), "file", Some("x"), None), Outcome::Failed, "name the path by that"),
        (file(&link, "file", Some("x"), None), Outcome::Failed, "is a symbolic link"),
        (file(&link, "absent", None, None), Outcome::Done, "removed"),
        (file(&link, "absent", None, None), Outcome::Done, "it was so already"),
    ];
    host.live(async |client| {
        let nonce = nonce(client).await;
        for (number, (action, expected, said)) in (1..).zip(cases) {
            let ordered = CommandBody { action: Some(Action::File(action)), ..order(number, &nonce, "") };
            client.command(signed(&ordered, &key(1)));
            let (ticket, result) = outcome(client).await;
            let told = format!("{}{}", result.reason, String::from_utf8_lossy(&result.stdout));
            assert_eq!(word(&result).0, expected, "{number}: {told}");
            assert!(told.contains(said), "{number}: {told}");
            assert_eq!(result.changed, !result.stdout.is_empty(), "{number}: {told}");
            client.kept(ticket);
        }
    });
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(std::fs::read_to_string(&wanted).expect("is there"), "bc\n");
    let mode = std::fs::metadata(&wanted).expect("is there").permissions().mode() & 0o7777;
    assert_eq!(mode, 0o640, "what is not said stays as it was");
    assert!(Path::new("/etc/passwd").exists());
}

#[test]
fn without_authority_act_does_not_start() {
    let host = Host::new();
    std::fs::remove_file(host.folder.path().join("authority.json")).expect("removed");
    assert!(matches!(Act::open(host.settings()), Err(ActError::NotEnrolled { .. })));
}

#[test]
fn the_clock_of_expiry_rises() {
    let before = since_boot_ms();
    std::thread::sleep(Duration::from_millis(5));
    assert!(since_boot_ms() >= before + 4 && Path::new("/proc/uptime").exists());
}
