//! From the file to the policy, every fault at once.

use watchkeep_protocol::check::SERVICE_STATES;

use super::{Line, Pattern, Policy};
use crate::act::programs;
use crate::yaml::{Faults, Node, Value, nearest};

const ACTIONS: [&str; 3] = ["service", "run", "package"];

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
        "service" => service(value, list, faults)?,
        "run" => run(value, list, &mut user, faults)?,
        "package" => Pattern::Package,
        _ => {
            faults.unknown(key, list, &ACTIONS);
            return None;
        }
    };
    Some(Line { number: key.at.line, what, user })
}

fn service(node: &Node, list: &str, faults: &mut Faults) -> Option<Pattern> {
    let (mut names, mut states) = (Vec::new(), Vec::new());
    for (key, value) in node.entries("service", faults) {
        match key.name.as_str() {
            "name" => names = texts(value, "service.name", faults),
            "state" => states = texts(value, "service.state", faults),
            _ => faults.unknown(key, "service", &["name", "state"]),
        }
    }
    for (state, at) in &states {
        if !SERVICE_STATES.contains(&state.as_str()) {
            let near = nearest(state, &SERVICE_STATES).map(|near| format!("did you mean \"{near}\"?"));
            let help = near.unwrap_or_else(|| format!("known are {}", SERVICE_STATES.join(", ")));
            faults.say(*at, format!("unknown state \"{state}\"; {help}"));
        }
    }
    if names.is_empty() {
        faults.say(node.at, "\"service\" names no unit; write for example name: nginx.service");
        return None;
    }
    if list == "allow" && states.is_empty() {
        faults.say(node.at, "\"service\" allows no state; write for example state: [started, restarted]");
        return None;
    }
    let words = |list: Vec<(String, _)>| list.into_iter().map(|(word, _)| word).collect();
    Some(Pattern::Service { names: words(names), states: words(states) })
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
    let Some((program, at)) = argv.first() else {
        faults.say(node.at, "\"run\" names no program; write for example argv: [/usr/bin/journalctl, '*']");
        return None;
    };
    let is_plain = !program.contains(['*', '?']);
    let resolved = if is_plain && !program.contains('/') { programs::resolve(program) } else { Some(program.clone()) };
    let Some(program) = resolved else {
        faults.say(*at, format!("no program \"{program}\" on {}; name it by its whole path", programs::PATH));
        return None;
    };
    let rest = argv.iter().skip(1).map(|(word, _)| word.clone());
    Some(Pattern::Run { argv: std::iter::once(program).chain(rest).collect() })
}

/// One text, or a list of them, each with its place.
fn texts(node: &Node, path: &str, faults: &mut Faults) -> Vec<(String, crate::yaml::Place)> {
    match &node.value {
        Value::Scalar(text) => vec![(text.clone(), node.at)],
        _ => {
            let items = node.items(path, faults);
            items.iter().filter_map(|item| Some((item.text(path, faults)?.to_owned(), item.at))).collect()
        }
    }
}
