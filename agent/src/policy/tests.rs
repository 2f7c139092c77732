use watchkeep_protocol::Action;
use watchkeep_protocol::command::{Run, Service};

use super::{Policy, Verdict, glob};

const POLICY: &str = "\
# the host's own word
allow:
  - service: {name: '*.service', state: [started, restarted]}
  - run: {argv: [/usr/bin/journalctl, '*']}
  - run: {argv: [/usr/bin/id, -u], user: root}
  - package: {name: [nginx, openssl], state: [latest]}
  - service: {name: [a.timer, 'b?.timer'], state: stopped}
deny:
  - service: {name: 'ssh*.service', state: [restarted]}
  - service: {name: 'watchkeep*'}
  - run: {argv: [/usr/bin/journalctl, --vacuum*, '*']}
user: watchkeep-run
";

fn service(name: &str, state: &str) -> Action {
    Action::Service(Service { name: name.into(), state: state.into() })
}

fn run(argv: &[&str]) -> Action {
    Action::Run(Run { argv: argv.iter().map(|word| (*word).to_owned()).collect(), ..Run::default() })
}

#[test]
fn each_decision_names_its_line() {
    let policy = Policy::parse("/etc/watchkeep/policy.yaml", POLICY).expect("a policy");
    let journal = "/usr/bin/journalctl";
    let cases: &[(Action, &str)] = &[
        (service("nginx.service", "restarted"), "policy.yaml:3 allows service nginx.service restarted"),
        (service("nginx.service", "stopped"), "no line of policy.yaml allows service nginx.service stopped"),
        (service("ssh.service", "started"), "policy.yaml:3 allows service ssh.service started"),
        (service("sshd.service", "restarted"), "policy.yaml:9 denies service sshd.service restarted"),
        (
            service("watchkeep-agent.service", "restarted"),
            "policy.yaml:10 denies service watchkeep-agent.service restarted",
        ),
        (service("a.timer", "stopped"), "policy.yaml:7 allows service a.timer stopped"),
        (service("b1.timer", "stopped"), "policy.yaml:7 allows service b1.timer stopped"),
        (service("b12.timer", "stopped"), "no line of policy.yaml allows service b12.timer stopped"),
        (run(&[journal]), "policy.yaml:4 allows run /usr/bin/journalctl"),
        (run(&[journal, "-u", "x"]), "policy.yaml:4 allows run /usr/bin/journalctl -u x"),
        (run(&[journal, "--vacuum-size=1"]), "policy.yaml:11 denies run /usr/bin/journalctl --vacuum-size=1"),
        (run(&["/tmp/journalctl"]), "no line of policy.yaml allows run /tmp/journalctl"),
        (run(&["/usr/bin/id", "-u"]), "policy.yaml:5 allows run /usr/bin/id -u"),
        (run(&["/usr/bin/id", "-u", "x"]), "no line of policy.yaml allows run /usr/bin/id -u x"),
        (run(&["/usr/bin/id"]), "no line of policy.yaml allows run /usr/bin/id"),
    ];
    for (action, expected) in cases {
        let said = match policy.judge(action) {
            Verdict::Allowed { by, .. } => by,
            Verdict::Denied { why } => why,
        };
        assert_eq!(said, *expected);
    }
}

#[test]
fn the_user_is_the_lines_or_the_files() {
    let policy = Policy::parse("policy.yaml", POLICY).expect("a policy");
    let user = |action| match policy.judge(&action) {
        Verdict::Allowed { user, .. } => user,
        Verdict::Denied { why } => panic!("{why}"),
    };
    assert_eq!(user(run(&["/usr/bin/id", "-u"])).as_deref(), Some("root"));
    assert_eq!(user(run(&["/usr/bin/journalctl"])).as_deref(), Some("watchkeep-run"));
}

#[test]
fn an_empty_file_allows_nothing() {
    let policy = Policy::parse("policy.yaml", "# nothing\n").expect("a policy");
    let Verdict::Denied { why } = policy.judge(&run(&["/bin/true"])) else { panic!("allowed") };
    assert_eq!(why, "no line of policy.yaml allows run /bin/true");
}

#[test]
fn all_faults_come_at_once_with_place_and_a_near_word() {
    let text = "\
alow: []
allow:
  - servce: {name: x, state: started}
  - service: {name: x, state: [startet], nmae: y}
  - service: {state: started}
  - service: {name: x}
  - run: {argv: []}
  - run: {argv: [no-such-program-anywhere]}
  - {service: {name: x, state: started}, run: {argv: [/bin/true]}}
  - just text
deny:
  - run: {argv: [/bin/true], user: root, extra: 1}
deny: []
";
    let faults = Policy::parse("policy.yaml", text).expect_err("faults").to_string();
    let expected = "\
policy.yaml:1:1: unknown key \"alow\"; did you mean \"allow\"?
policy.yaml:3:5: unknown key \"servce\" in \"allow\"; did you mean \"service\"?
policy.yaml:4:32: unknown state \"startet\"; did you mean \"started\"?
policy.yaml:4:42: unknown key \"nmae\" in \"service\"; did you mean \"name\"?
policy.yaml:5:14: \"service\" names no unit; write for example name: nginx.service
policy.yaml:6:14: \"service\" allows no state; write for example state: [started, restarted]
policy.yaml:7:10: \"run\" names no program; write for example argv: [/usr/bin/journalctl, '*']
policy.yaml:8:18: no program \"no-such-program-anywhere\" on /usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; name it by its whole path
policy.yaml:9:5: an entry of \"allow\" is one action: service, run, package
policy.yaml:10:5: \"allow\" is a single value, not keys with values
policy.yaml:12:30: unknown key \"user\" in \"run\"; known here: argv
policy.yaml:12:42: unknown key \"extra\" in \"run\"; known here: argv
policy.yaml:13:1: key \"deny\" stands here a second time; first in line 11";
    assert_eq!(faults, expected);
}

#[test]
fn globs_match_the_whole_text() {
    for (pattern, text, fits) in [
        ("*", "", true),
        ("*", "anything", true),
        ("a*c", "abc", true),
        ("a*c", "abcd", false),
        ("a?c", "ac", false),
        ("*.service", "x.service", true),
        ("*.service", "x.service.d", false),
        ("a*b*c", "aXbYbZc", true),
        ("", "", true),
        ("", "x", false),
        ("**", "x", true),
        ("a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
    ] {
        assert_eq!(glob(pattern, text), fits, "{pattern} {text}");
    }
}
