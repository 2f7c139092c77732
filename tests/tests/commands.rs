//! Commands that must not be carried out: each is refused on the host, with its reason, and the refusal is in the ledger.
//!
//! The broker is in hostile hands meanwhile, and it holds more than it could: most commands are signed with the
//! controller's own key, so that each is refused for the one thing that is wrong with it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use watchkeep::access::keys::{Purpose, SigningKey};
use watchkeep_protocol::command::{Action, Outcome, Run};
use watchkeep_protocol::{CommandBody, Hello};
use watchkeep_tests::captured::{CapturedBroker, signed};
use watchkeep_tests::rulebook::Book;
use watchkeep_tests::{Agent, Controller, Setup, ledger, wait};

const BOUND: Duration = Duration::from_secs(20);

/// What is wrong with a command, and the word and a part of the reason that it is refused with.
struct Case {
    name: &'static str,
    id: u8,
    change: fn(&mut CommandBody),
    refusal: &'static str,
    reason: &'static str,
}

const CASES: [Case; 4] = [
    Case {
        name: "for another host",
        id: 10,
        change: |body| body.agent = "web-2".to_owned(),
        refusal: "agent",
        reason: "web-2",
    },
    Case { name: "expired", id: 11, change: |body| body.expires_after_ms = 1, refusal: "expired", reason: "expired" },
    Case { name: "of an older epoch", id: 12, change: |body| body.epoch = 1, refusal: "epoch", reason: "epoch 1" },
    Case {
        name: "that the policy denies",
        id: 13,
        change: |body| body.action = Some(run(&["/bin/cat", "/etc/shadow"])),
        refusal: "policy",
        reason: "policy.yaml",
    },
];

#[test]
fn what_was_not_ordered_for_this_host_is_refused_and_the_ledger_says_why() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let book = Book::new(folder.path())?;
    let mut controller = Controller::start(Setup { files: book.configuration(), ..Setup::default() })?;
    let _agent = Agent::start("web-1", &controller, &book.policy())?;
    controller.stop()?;

    let captured = CapturedBroker::start(controller.mqtt(), &controller.data())?;
    let key = SigningKey::open(&controller.data(), Purpose::Command)?;
    let (session, hello) = captured.hello("web-1", BOUND)?;
    let program = folder.path().join("write-down").display().to_string();
    let good =
        |id: u8| CommandBody { action: Some(run(&[&program, &id.to_string()])), ..body_for("web-1", id, &hello) };

    // A good one first: so each refusal below has its one cause. It also sets the epoch.
    captured.send("web-1", session, &signed(&good(1), &key))?;
    let done = captured.result("web-1", &good(1).id, 1, BOUND)?;
    assert_eq!(done.outcome(), Outcome::Done, "{}", done.reason);
    assert_eq!(book.written()?, ["1"]);

    captured.send("web-1", session, &signed(&good(1), &key))?;
    let again = captured.result("web-1", &good(1).id, 2, BOUND)?;
    assert_eq!((again.outcome(), again.refusal.as_str()), (Outcome::Refused, "replayed"), "{}", again.reason);

    let forged = signed(&good(2), &SigningKey::generate());
    captured.send("web-1", session, &forged)?;
    refused(&captured, &good(2), "signature", "key")?;
    let mut tampered = signed(&good(3), &key);
    tampered.body = prost::Message::encode_to_vec(&CommandBody { action: Some(run(&[&program, "999"])), ..good(3) });
    captured.send("web-1", session, &tampered)?;
    refused(&captured, &good(3), "signature", "")?;

    for case in &CASES {
        let mut body = good(case.id);
        (case.change)(&mut body);
        captured.send("web-1", session, &signed(&body, &key))?;
        refused(&captured, &body, case.refusal, case.reason).with_context(|| format!("a command {}", case.name))?;
    }
    assert_eq!(book.written()?, ["1"], "something that was refused was carried out");
    captured.stop();

    controller.run()?;
    let words = ["replayed", "signature", "agent", "expired", "epoch", "policy"];
    wait::until(BOUND, "the refusals in the ledger", || {
        let facts = ledger::facts(&controller.data())?;
        for word in words {
            let told = ledger::that_say(&facts, &["\"refused\"", &format!("\"refusal\":\"{word}\"")]);
            ensure!(!told.is_empty(), "no fact tells of the refusal \"{word}\"");
        }
        Ok(())
    })
}

fn refused(captured: &CapturedBroker, body: &CommandBody, refusal: &str, reason: &str) -> Result<()> {
    let result = captured.result("web-1", &body.id, 1, BOUND)?;
    ensure!(result.outcome() == Outcome::Refused, "{:?}: {}", result.outcome(), result.reason);
    ensure!(result.refusal == refusal, "refused as \"{}\", not \"{refusal}\": {}", result.refusal, result.reason);
    ensure!(result.reason.contains(reason), "the reason does not say \"{reason}\": {}", result.reason);
    Ok(())
}

fn body_for(agent: &str, id: u8, hello: &Hello) -> CommandBody {
    CommandBody {
        id: vec![id; 16],
        agent: agent.to_owned(),
        run: format!("RUN-{id}"),
        step: 0,
        attempt: 1,
        plan_hash: vec![7; 32],
        epoch: hello.epoch.max(2),
        session_nonce: hello.command_nonce.clone(),
        expires_after_ms: 3_600_000,
        timeout_ms: 10_000,
        action: None,
    }
}

fn run(argv: &[&str]) -> Action {
    let argv = argv.iter().map(|word| (*word).to_owned()).collect();
    Action::Run(Run { argv, ..Run::default() })
}
