//! Comments that allow what a lint warns of: `# watchkeep:allow LINT: REASON`, several lints with commas between them.
//!
//! One in a rule, behind a line of it or in the comment right above it is for that rule; one above the file's first key is
//! for the whole file. A reason must stand there: it is for who reads the rule next.

use super::{LINTS, Lint, RuleNode};
use crate::fault::Fault;
use crate::near::near;
use crate::yaml::Source;

const MARK: &str = "# watchkeep:allow";

/// What one file allows.
#[derive(Debug, Default)]
pub(super) struct Allowed {
    comments: Vec<Comment>,
}

#[derive(Debug)]
struct Comment {
    line: usize,
    /// Bytes of the file: the words behind the mark.
    from: usize,
    to: usize,
    lints: Vec<Lint>,
    /// None: for the file.
    rule: Option<usize>,
    wrong: Option<(String, Option<String>)>,
}

impl Allowed {
    pub fn read(source: &Source, rules: &[RuleNode<'_>]) -> Self {
        let spans: Vec<Span> = rules.iter().map(|rule| Span::of(source, rule)).collect();
        let mut comments = Vec::new();
        let mut start = 0;
        let mut before_keys = true;
        for (place, line) in source.text.split_inclusive('\n').enumerate() {
            let number = place + 1;
            before_keys &= line.trim().is_empty() || line.trim_start().starts_with('#') || line.trim() == "---";
            if let Some(at) = line.find(MARK) {
                let behind = &line[at + MARK.len()..];
                let from = start + line.len() - behind.trim_start().len();
                let to = (start + line.trim_end().len()).max(from);
                let (lints, wrong) = read(&source.text[from..to]);
                let rule = spans.iter().find(|span| span.holds(number)).map(|span| span.place);
                let wrong = wrong.or_else(|| {
                    (rule.is_none() && !before_keys).then(|| {
                        let help = "write it above the rule, or above the file's first key for all of them";
                        ("this comment stands at no rule, so it allows nothing".to_owned(), Some(help.to_owned()))
                    })
                });
                comments.push(Comment { line: number, from, to, lints, rule, wrong });
            }
            start += line.len();
        }
        Self { comments }
    }

    pub fn allows(&self, lint: Lint, rule: Option<usize>) -> bool {
        let is_for =
            |comment: &&Comment| comment.wrong.is_none() && comment.rule.is_none_or(|place| Some(place) == rule);
        self.comments.iter().filter(is_for).any(|comment| comment.lints.contains(&lint))
    }

    /// Comments that allow nothing.
    pub fn wrong(&self, source: &Source) -> Vec<Fault> {
        let told = self.comments.iter().filter_map(|comment| {
            let (message, help) = comment.wrong.as_ref()?;
            let mut fault = Fault::at(source, comment.from, comment.to, message.as_str());
            fault.line = comment.line;
            fault.hint = help.clone();
            Some(fault)
        });
        told.collect()
    }
}

/// ` LINT, LINT: REASON`
fn read(text: &str) -> (Vec<Lint>, Option<(String, Option<String>)>) {
    let names = || LINTS.iter().map(|(_, name, _)| *name);
    let (named, reason) = text.split_once(':').unwrap_or((text, ""));
    let mut lints = Vec::new();
    for name in named.split(',').map(str::trim) {
        match Lint::named(name) {
            Some(lint) => lints.push(lint),
            None => {
                let help = near(name, names()).map(|near| format!("did you mean '{near}'?"));
                let help = help.unwrap_or_else(|| format!("known: {}", names().collect::<Vec<_>>().join(", ")));
                return (lints, Some((format!("there is no lint '{name}'"), Some(help))));
            }
        }
    }
    let wrong = reason.trim().is_empty().then(|| {
        let help = format!("write for example {MARK} {}: what makes it right here", named.trim());
        ("this says no reason, so it allows nothing".to_owned(), Some(help))
    });
    (lints, wrong)
}

/// The lines of a rule, with the comment above it.
struct Span {
    place: usize,
    first: usize,
    last: usize,
}

impl Span {
    fn of(source: &Source, rule: &RuleNode<'_>) -> Self {
        let (mut first, _) = source.place(rule.node.start);
        let (last, _) = source.place(rule.node.end);
        while first > 1 && source.line(first - 1).trim_start().starts_with('#') {
            first -= 1;
        }
        Self { place: rule.place, first, last }
    }

    fn holds(&self, line: usize) -> bool {
        (self.first..=self.last).contains(&line)
    }
}
