//! `/etc/watchkeep/policy.yaml`: the host's own word on what may be done to it.
//!
//! The controller cannot change it. Nothing is allowed that no line allows; a line under `deny` wins over any under
//! `allow`. Each decision names its line. The file is read whole or refused whole, all its faults at once; with a fault,
//! or without a file, nothing is allowed.

mod pattern;
mod read;

use watchkeep_protocol::Action;

use crate::yaml::Faults;
pub use pattern::glob;

/// A policy that was checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// The file's name without its folder, for what is said.
    file: String,
    allow: Vec<Line>,
    deny: Vec<Line>,
    /// Whom programs and scripts run as, where their line does not say.
    user: Option<String>,
}

/// One entry of `allow` or `deny`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    number: u64,
    /// It stands under `deny`, where one package that it names is enough.
    denies: bool,
    what: Pattern,
    user: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    /// Globs of names; states, none for any.
    Service { names: Vec<String>, states: Vec<String> },
    /// A glob an argument; a last `*` matches any further ones.
    Run { argv: Vec<String> },
    /// A glob an argument of the interpreter; SHA-256 of contents in hexadecimal, `*` for any.
    Script { interpreter: Vec<String>, sha256: Vec<String> },
    /// Globs of names, of which every package must fit one; states, none for any.
    Package { names: Vec<String>, states: Vec<String> },
    /// Globs of paths; states, none for any.
    File { paths: Vec<String>, states: Vec<String> },
}

/// What the policy says of one action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// `by`: `policy.yaml:4 allows service nginx.service restarted`.
    Allowed { by: String, user: Option<String> },
    /// Why not, for the ledger.
    Denied { why: String },
}

impl Policy {
    /// Checks `text`; `file` is named in faults and verdicts.
    ///
    /// # Errors
    /// Every fault with line and column.
    pub fn parse(file: &str, text: &str) -> Result<Self, Faults> {
        read::policy(file, text)
    }

    /// Judges an action whose program was resolved and whose unit has its suffix.
    pub fn judge(&self, action: &Action) -> Verdict {
        let said = describe(action);
        if let Some(line) = self.deny.iter().find(|line| line.matches(action)) {
            return Verdict::Denied { why: format!("{}:{} denies {said}", self.file, line.number) };
        }
        match self.allow.iter().find(|line| line.matches(action)) {
            Some(line) => Verdict::Allowed {
                by: format!("{}:{} allows {said}", self.file, line.number),
                user: line.user.clone().or_else(|| self.user.clone()),
            },
            None => Verdict::Denied { why: format!("no line of {} allows {said}", self.file) },
        }
    }
}

impl Line {
    fn matches(&self, action: &Action) -> bool {
        let any = |globs: &[String], name: &str| globs.iter().any(|pattern| glob(pattern, name));
        let among = |states: &[String], state: &String| states.is_empty() || states.contains(state);
        match (&self.what, action) {
            (Pattern::Service { names, states }, Action::Service(service)) => {
                any(names, &service.name) && among(states, &service.state)
            }
            (Pattern::Run { argv }, Action::Run(run)) => pattern::argv(argv, &run.argv),
            (Pattern::Script { interpreter, sha256 }, Action::Script(script)) => {
                pattern::argv(interpreter, &script.argv) && any(sha256, &hash_of(&script.content))
            }
            (Pattern::Package { names, states }, Action::Package(package)) => {
                let fits = |name: &String| any(names, name);
                let named = if self.denies { package.names.iter().any(fits) } else { package.names.iter().all(fits) };
                named && among(states, &package.state)
            }
            (Pattern::File { paths, states }, Action::File(file)) => {
                any(paths, &file.path) && among(states, &file.state)
            }
            _ => false,
        }
    }
}

/// SHA-256 in hexadecimal, as `sha256sum` prints it.
fn hash_of(content: &str) -> String {
    let hash = ring::digest::digest(&ring::digest::SHA256, content.as_bytes());
    hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The action in a few words; long arguments are cut.
pub fn describe(action: &Action) -> String {
    match action {
        Action::Service(service) => format!("service {} {}", service.name, service.state),
        Action::Run(run) => format!("run {}", words(&run.argv)),
        Action::Script(script) => {
            let arguments = if script.arguments.is_empty() { "" } else { " with " };
            let hash = hash_of(&script.content);
            format!("script {} of {}{arguments}{}", hash, words(&script.argv), words(&script.arguments))
        }
        Action::Package(package) => format!("package {} {}", words(&package.names), package.state),
        Action::File(file) => format!("file {} {}", file.path, file.state),
    }
}

fn words(words: &[String]) -> String {
    let shown: Vec<String> = words.iter().take(12).map(|word| word.chars().take(80).collect()).collect();
    let more = if words.len() > 12 { " …" } else { "" };
    format!("{}{more}", shown.join(" "))
}

#[cfg(test)]
mod tests;
