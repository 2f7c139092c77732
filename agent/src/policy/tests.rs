use watchkeep_protocol::Action;
use watchkeep_protocol::command::{File, Package, Run, Script, Service};

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

const THINGS: &str = "\
allow:
  - package: {name: [nginx*, openssl], state: [latest, present]}
  - file: {path: '/etc/nginx/*.conf', state: file}
  - script: {sha256: 98ea6e4f216f2fb4b69fff9b3a44842c38686ca685f3f55dc48c5d3fb1107be4, user: root}
  - script: {interpreter: [/usr/bin/python3, -I], sha256: '*'}
deny:
  - package: {name: nginx-extras}
  - file: {path: '*/secret.conf'}
";

#[test]
fn packages_files_and_scripts_are_judged_by_what_they_name() {
    let policy = Policy::parse("policy.yaml", THINGS).expect("a policy");
    let package = |names: &[&str], state: &str| {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Action::Package(Package { names, state: state.into() })
    };
    let file =
        |path: &str, state: &str| Action::File(File { path: path.into(), state: state.into(), ..File::default() });
    let script = |argv: &[&str], content: &str| {
        let argv = argv.iter().map(|word| (*word).to_owned()).collect();
        Action::Script(Script { argv, content: content.into(), arguments: vec!["/srv".into()] })
    };
    let hi = "98ea6e4f216f2fb4b69fff9b3a44842c38686ca685f3f55dc48c5d3fb1107be4";
    let cases = [
        (package(&["nginx", "openssl"], "latest"), "policy.yaml:2 allows package nginx openssl latest".to_owned()),
        (package(&["nginx", "bash"], "latest"), "no line of policy.yaml allows package nginx bash latest".to_owned()),
        (package(&["openssl"], "absent"), "no line of policy.yaml allows package openssl absent".to_owned()),
        (
            package(&["nginx", "nginx-extras"], "present"),
            "policy.yaml:7 denies package nginx nginx-extras present".to_owned(),
        ),
        (file("/etc/nginx/a.conf", "file"), "policy.yaml:3 allows file /etc/nginx/a.conf file".to_owned()),
        (file("/etc/nginx/a.conf", "absent"), "no line of policy.yaml allows file /etc/nginx/a.conf absent".to_owned()),
        (file("/etc/nginx/secret.conf", "file"), "policy.yaml:8 denies file /etc/nginx/secret.conf file".to_owned()),
        (file("/etc/passwd", "file"), "no line of policy.yaml allows file /etc/passwd file".to_owned()),
        (script(&["/bin/sh"], "hi\n"), format!("policy.yaml:4 allows script {hi} of /bin/sh with /srv")),
    ];
    for (action, expected) in cases {
        let said = match policy.judge(&action) {
            Verdict::Allowed { by, .. } => by,
            Verdict::Denied { why } => why,
        };
        assert_eq!(said, expected);
    }
    let allowed = |action: &Action| matches!(policy.judge(action), Verdict::Allowed { .. });
    assert!(!allowed(&script(&["/bin/sh"], "hi \n")), "one byte more is another script");
    assert!(allowed(&script(&["/usr/bin/python3", "-I"], "print(1)")));
    assert!(!allowed(&script(&["/usr/bin/python3"], "print(1)")));
    let Verdict::Allowed { user, .. } = policy.judge(&script(&["/bin/sh"], "hi\n")) else { panic!("denied") };
    assert_eq!(user.as_deref(), Some("root"));
}

#[test]
fn what_a_script_is_must_be_said() {
    let text = "allow:\n  - script: {interpreter: /bin/sh}\n  - script: {sha256: [abc]}\n  - file: {path: /x}\n  - package: {state: latest}\n";
    let faults = Policy::parse("policy.yaml", text).expect_err("faults").to_string();
    let expected = "\
policy.yaml:2:13: \"script\" names no content; write its sha256, as sha256sum prints it (a plan shows it too), or '*' for any script
policy.yaml:3:23: \"abc\" is no SHA-256 as sha256sum prints it, and not '*'
policy.yaml:4:11: \"file\" allows no state; write for example state: [file, absent]
policy.yaml:5:14: \"package\" names no package; write for example name: [nginx, openssl]";
    assert_eq!(faults, expected);
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
policy.yaml:9:5: an entry of \"allow\" is one action: service, run, script, package, file
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
