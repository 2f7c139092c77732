//! From the file to the policy, every fault at once.

use watchkeep_protocol::check::{FILE_STATES, PACKAGE_STATES, SERVICE_STATES};

use super::{Line, Pattern, Policy};
use crate::act::programs;
use crate::yaml::{Faults, Node, Place, Value, nearest};

const ACTIONS: [&str; 5] = ["service", "run", "script", "package", "file"];
/// How many hexadecimal digits SHA-256 has.
const HASH_DIGITS: usize = 64;

pub fn policy(file: &str, text: &str) -> Result<Policy, Faults> {
    let mut faults = Faults::of(file);
    let root = Node::read(file, text)?;
    let name = file.rsplit('/').next().unwrap_or(file).to_owned();
    let mut policy = Policy { file: name, ..Policy::default() };
    for (key, value) in root.entries("", &mut faults) {
        match key.name.as_str() {
            "allow" => policy.allow = lines(value, "allow", &mut faults),
            "deny" => policy.deny = lines(value, "deny", &mut faults),
            "user" => policy.user = value.text("user", &mut faults).map(str::to_owned),
            _ => faults.unknown(key, "", &["allow", "deny", "user"]),
        }
    }
    faults.finish()?;
    Ok(policy)
}

fn lines(node: &Node, list: &str, faults: &mut Faults) -> Vec<Line> {
    node.items(list, faults).iter().filter_map(|item| line(item, list, faults)).collect()
}

fn line(item: &Node, list: &str, faults: &mut Faults) -> Option<Line> {
    let entries = item.entries(list, faults);
    let [(key, value)] = entries else {
        if !entries.is_empty() || matches!(item.value, Value::Null) {
            faults.say(item.at, format!("an entry of \"{list}\" is one action: {}", ACTIONS.join(", ")));
        }
        return None;
    };
    let mut user = None;
    let what = match key.name.as_str() {
        "service" => {
            let (names, states) = things(value, list, &SERVICE, faults)?;
            Pattern::Service { names, states }
        }
        "package" => {
            let (names, states) = things(value, list, &PACKAGE, faults)?;
            Pattern::Package { names, states }
        }
        "file" => {
            let (paths, states) = things(value, list, &FILE, faults)?;
            Pattern::File { paths, states }
        }
        "run" => run(value, list, &mut user, faults)?,
        "script" => script(value, list, &mut user, faults)?,
        _ => {
            faults.unknown(key, list, &ACTIONS);
            return None;
        }
    };
    Some(Line { number: key.at.line, denies: list == "deny", what, user })
}

/// An action that brings things of some kind to a state.
struct Kept {
    action: &'static str,
    /// The key that names them.
    of: &'static str,
    /// What one of them is called.
    thing: &'static str,
    states: &'static [&'static str],
    /// How it is written.
    name: &'static str,
    state: &'static str,
}

const SERVICE: Kept = Kept {
    action: "service",
    of: "name",
    thing: "unit",
    states: &SERVICE_STATES,
    name: "nginx.service",
    state: "[started, restarted]",
};
const PACKAGE: Kept = Kept {
    action: "package",
    of: "name",
    thing: "package",
    states: &PACKAGE_STATES,
    name: "[nginx, openssl]",
    state: "[latest]",
};
const FILE: Kept = Kept {
    action: "file",
    of: "path",
    thing: "path",
    states: &FILE_STATES,
    name: "/etc/nginx/conf.d/*.conf",
    state: "[file, absent]",
};

/// Names and states.
fn things(node: &Node, list: &str, kept: &Kept, faults: &mut Faults) -> Option<(Vec<String>, Vec<String>)> {
    let Kept { action, of, thing, .. } = kept;
    let (mut names, mut states) = (Vec::new(), Vec::new());
    for (key, value) in node.entries(action, faults) {
        match key.name.as_str() {
            "state" => states = texts(value, &format!("{action}.state"), faults),
            name if name == *of => names = texts(value, &format!("{action}.{of}"), faults),
            _ => faults.unknown(key, action, &[of, "state"]),
        }
    }
    for (state, at) in &states {
        if !kept.states.contains(&state.as_str()) {
            let near = nearest(state, kept.states).map(|near| format!("did you mean \"{near}\"?"));
            let help = near.unwrap_or_else(|| format!("known are {}", kept.states.join(", ")));
            faults.say(*at, format!("unknown state \"{state}\"; {help}"));
        }
    }
    if names.is_empty() {
        faults.say(node.at, format!("\"{action}\" names no {thing}; write for example {of}: {}", kept.name));
        return None;
    }
    if list == "allow" && states.is_empty() {
        faults.say(node.at, format!("\"{action}\" allows no state; write for example state: {}", kept.state));
        return None;
    }
    Some((plain(names), plain(states)))
}

fn plain(list: Vec<(String, Place)>) -> Vec<String> {
    list.into_iter().map(|(word, _)| word).collect()
}

fn run(node: &Node, list: &str, user: &mut Option<String>, faults: &mut Faults) -> Option<Pattern> {
    let mut argv = Vec::new();
    for (key, value) in node.entries("run", faults) {
        match key.name.as_str() {
            "argv" => argv = texts(value, "run.argv", faults),
            "user" if list == "allow" => *user = value.text("run.user", faults).map(str::to_owned),
            _ => faults.unknown(key, "run", if list == "allow" { &["argv", "user"] } else { &["argv"] }),
        }
    }
    if argv.is_empty() {
        faults.say(node.at, "\"run\" names no program; write for example argv: [/usr/bin/journalctl, '*']");
        return None;
    }
    Some(Pattern::Run { argv: resolved(argv, faults)? })
}

/// What a line allows must say which contents it means, as a script can do anything; what one denies may deny all.
fn script(node: &Node, list: &str, user: &mut Option<String>, faults: &mut Faults) -> Option<Pattern> {
    let (mut interpreter, mut hashes) = (Vec::new(), Vec::new());
    for (key, value) in node.entries("script", faults) {
        match key.name.as_str() {
            "interpreter" => interpreter = texts(value, "script.interpreter", faults),
            "sha256" => hashes = texts(value, "script.sha256", faults),
            "user" if list == "allow" => *user = value.text("script.user", faults).map(str::to_owned),
            _ => {
                let known = ["interpreter", "sha256", "user"];
                faults.unknown(key, "script", if list == "allow" { &known } else { &known[..2] });
            }
        }
    }
    for (hash, at) in &hashes {
        let is_hash =
            hash.len() == HASH_DIGITS && hash.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if hash != "*" && !is_hash {
            faults.say(*at, format!("\"{hash}\" is no SHA-256 as sha256sum prints it, and not '*'"));
        }
    }
    if hashes.is_empty() && list == "allow" {
        let how = "its sha256, as sha256sum prints it (a plan shows it too), or '*' for any script";
        faults.say(node.at, format!("\"script\" names no content; write {how}"));
        return None;
    }
    if hashes.is_empty() {
        hashes.push(("*".to_owned(), node.at));
    }
    let interpreter = if interpreter.is_empty() { vec!["*".to_owned()] } else { resolved(interpreter, faults)? };
    Some(Pattern::Script { interpreter, sha256: plain(hashes) })
}

/// Words whose first is a program, by its whole path.
fn resolved(argv: Vec<(String, Place)>, faults: &mut Faults) -> Option<Vec<String>> {
    let (program, at) = argv.first()?;
    let is_plain = !program.contains(['*', '?']);
    let found = if is_plain && !program.contains('/') { programs::resolve(program) } else { Some(program.clone()) };
    let Some(program) = found else {
        faults.say(*at, format!("no program \"{program}\" on {}; name it by its whole path", programs::PATH));
        return None;
    };
    let rest = argv.iter().skip(1).map(|(word, _)| word.clone());
    Some(std::iter::once(program).chain(rest).collect())
}

/// One text, or a list of them, each with its place.
fn texts(node: &Node, path: &str, faults: &mut Faults) -> Vec<(String, Place)> {
    match &node.value {
        Value::Scalar(text) => vec![(text.clone(), node.at)],
        _ => {
            let items = node.items(path, faults);
            items.iter().filter_map(|item| Some((item.text(path, faults)?.to_owned(), item.at))).collect()
        }
    }
}
