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
    /// Whom `run` actions run as, where their line does not say.
    user: Option<String>,
}

/// One entry of `allow` or `deny`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    number: u64,
    what: Pattern,
    user: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pattern {
    /// Globs of names; states, none for any.
    Service { names: Vec<String>, states: Vec<String> },
    /// A glob an argument; a last `*` matches any further ones.
    Run { argv: Vec<String> },
    /// Kept for what this version does not do yet: it allows nothing.
    Package,
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
        match (&self.what, action) {
            (Pattern::Service { names, states }, Action::Service(service)) => {
                names.iter().any(|name| glob(name, &service.name))
                    && (states.is_empty() || states.contains(&service.state))
            }
            (Pattern::Run { argv }, Action::Run(run)) => pattern::argv(argv, &run.argv),
            _ => false,
        }
    }
}

/// The action in a few words; long arguments are cut.
pub fn describe(action: &Action) -> String {
    match action {
        Action::Service(service) => format!("service {} {}", service.name, service.state),
        Action::Run(run) => {
            let words: Vec<String> = run.argv.iter().take(12).map(|word| word.chars().take(80).collect()).collect();
            let more = if run.argv.len() > 12 { " …" } else { "" };
            format!("run {}{more}", words.join(" "))
        }
    }
}

#[cfg(test)]
mod tests;
