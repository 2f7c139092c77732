//! An agent that leaves its own topics is refused, whatever client it uses: here Debian's mosquitto clients, with the
//! certificate of an enrolled agent.

use std::process::{Command, Output};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use watchkeep_protocol::topic::{Kind, Topic, down_filter};
use watchkeep_tests::{Agent, Controller, Setup, ledger, wait};

/// How long the ledger may take.
const BOUND: Duration = Duration::from_secs(10);

/// A hostile process that holds the identity of `agent`.
struct Hostile<'a> {
    agent: &'a Agent,
    controller: &'a Controller,
}

impl Hostile<'_> {
    fn publish(&self, topic: &str, more: &[&str]) -> Result<String> {
        let message = ["--topic", topic, "--message", "x", "--qos", "1"];
        self.run("mosquitto_pub", &[&message, more].concat())
    }

    fn subscribe(&self, filter: &str) -> Result<String> {
        self.run("mosquitto_sub", &["--topic", filter, "-W", "1"])
    }

    /// All that the client said.
    fn run(&self, program: &str, args: &[&str]) -> Result<String> {
        let at = self.controller.mqtt();
        let identity = self.agent.identity();
        let id = format!("{}/0123456789abcdef", self.agent.name());
        let output = Command::new("timeout")
            .args(["10", program, "--protocol-version", "mqttv5", "--id", &id])
            .args(["--host", &at.ip().to_string(), "--port", &at.port().to_string()])
            .arg("--cafile")
            .arg(identity.join("ca.pem"))
            .arg("--cert")
            .arg(identity.join("cert.pem"))
            .arg("--key")
            .arg(identity.join("key.pem"))
            .args(args)
            .output()
            .with_context(|| format!("run {program}; `make test` as root installs it"))?;
        Ok(words(&output))
    }
}

#[test]
fn an_agent_publishes_subscribes_and_leaves_a_will_within_its_own_topics_only() -> Result<()> {
    let controller = Controller::start(Setup::default())?;
    let agent = Agent::enrolled("web-1", &controller)?;
    let hostile = Hostile { agent: &agent, controller: &controller };
    let own = Topic::new("web-1", Kind::Status).to_string();
    let of_another = Topic::new("web-2", Kind::Status).to_string();
    let down = Topic::new("web-1", Kind::Command).to_string();
    let (own_will, anothers_will) =
        (Topic::new("web-1", Kind::Will).to_string(), Topic::new("web-2", Kind::Will).to_string());

    // Its own it may: so each refusal below is for the topic and nothing else.
    assert_eq!(hostile.publish(&own, &["--will-topic", &own_will])?, "");
    assert_eq!(hostile.subscribe(&down_filter("web-1"))?, "Timed out");

    for topic in [of_another.as_str(), &down, "elsewhere", "$SYS/broker/uptime"] {
        assert!(hostile.publish(topic, &[])?.contains("Not authorized"), "published to {topic}");
    }
    for filter in [&down_filter("web-2"), &of_another, "#", "+/+/+/+/up/+", "watchkeep/v1/+/+/down/+", "$share/g/#"] {
        let said = hostile.subscribe(filter)?;
        assert!(said.contains("denied") || said.contains("Not authorized"), "subscribed to {filter}: {said}");
    }
    for will in [anothers_will.as_str(), &own, &down] {
        let said = hostile.publish(&own, &["--will-topic", will])?;
        assert!(said.contains("Not authorized"), "left a will on {will}: {said}");
    }
    // The certificate is the name, whatever the client calls itself.
    let said = hostile.publish(&own, &["--id", "web-2/0123456789abcdef"])?;
    assert!(said.contains("Not authorized") || said.contains("identifier"), "called itself web-2: {said}");
    let said = hostile.publish(&of_another, &["--username", "web-2"])?;
    assert!(said.contains("Not authorized"), "claimed the user name web-2: {said}");
    each_kind_of_refusal_is_in_the_ledger_once(&controller)
}

/// What was refused and why, of the agent whose certificate it was. Of each kind the first is told at once and the rest are
/// counted for a minute, so that nobody fills the ledger by knocking.
fn each_kind_of_refusal_is_in_the_ledger_once(controller: &Controller) -> Result<()> {
    let kinds = [
        ("publish to", "an agent publishes to its own up/ topics only"),
        ("subscribe to", "an agent subscribes to its own down/ topics only"),
        ("a will on", "an agent leaves one on its own up/will"),
        ("client id", "is not \\\"web-1/"),
    ];
    wait::until(BOUND, "the refusals in the ledger", || {
        let facts = ledger::facts(&controller.data())?;
        for (what, why) in kinds {
            let told = ledger::that_say(&facts, &["refused", what, why]);
            ensure!(told.len() == 1, "{} facts tell that \"{what}\" was refused as {why}: {told:#?}", told.len());
            let of = (told[0].kind.as_str(), told[0].subject.as_str());
            ensure!(of == ("agent.suspicious", "agent web-1"), "it is told as {of:?}");
        }
        Ok(())
    })
}

fn words(output: &Output) -> String {
    let both = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8_lossy(&both).trim().to_owned()
}
