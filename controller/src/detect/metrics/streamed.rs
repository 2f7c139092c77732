//! Rules of single hosts, judged as their rows come in.
//!
//! One [`Stream`] a host for the rules of all groups. It is made where two reports follow one another without anything else
//! happening to the host's samples ([`Reached`]), and dropped where something did: what is late, ends, comes from files or
//! gets other labels is the plain evaluator's. While a host catches up it is judged plainly, report by report.

use std::collections::BTreeSet;
use std::sync::Arc;

use watchkeep_rules::model::RuleBook;
use watchkeep_rules::promql::eval::Settings;
use watchkeep_rules::promql::labels::Labels;
use watchkeep_rules::stream::{self, Asked, Derived, Shapes, Stream};

use super::rules::RuleGroup;
use crate::samples::{HostSeries, Reached};

/// What hosts' streams are made of: the rules of one generation that each host is judged by.
#[derive(Debug, Default)]
pub struct StreamRules {
    groups: Vec<Arc<RuleGroup>>,
    derived: Derived,
    /// Metrics that streamed rules read.
    reads: BTreeSet<String>,
    shapes: Shapes,
}

/// How many evaluations of rules of single hosts there were, and which way they went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// The stream knew that the rule gives nothing.
    pub streamed: u64,
    /// The plain evaluator was asked.
    pub plain: u64,
}

impl StreamRules {
    /// `groups` are of the book, each for every host by itself.
    pub fn new(book: &RuleBook, groups: &[Arc<RuleGroup>]) -> Self {
        let derived = Derived::of(book);
        let mut rules = Self { groups: groups.to_vec(), derived, ..Self::default() };
        let names = rules.asked().filter_map(|asked| stream::reads(asked.expr, &rules.derived).ok());
        rules.reads = names.flatten().map(str::to_owned).collect();
        rules
    }

    /// Of each group, where in a stream its first rule stands; none where nothing is to be streamed.
    pub fn firsts(&self) -> Vec<usize> {
        let firsts = self.groups.iter().scan(0, |next, group| {
            let first = *next;
            *next += group.rules.len();
            Some(first)
        });
        firsts.collect()
    }

    fn asked(&self) -> impl Iterator<Item = Asked<'_>> {
        self.groups.iter().flat_map(|group| group.rules.asked())
    }

    fn stream(&self, series: &HostSeries, at: i64) -> Option<Stream> {
        if self.reads.is_empty() {
            return None;
        }
        let wanted = |name: &str| self.reads.contains(name);
        let blocks: Vec<Vec<Option<Labels>>> = series.live_labels(&wanted).collect();
        // Samples that cannot be read are the plain evaluator's to tell of.
        let times = (Settings::default().lookback, at);
        Stream::new(self.asked(), &blocks, series, &self.derived, &self.shapes, times).ok()
    }
}

/// One host's stream, where there is one.
#[derive(Debug, Default)]
pub struct HostStream {
    stream: Option<Stream>,
    /// How far the host's columns were at its newest report.
    reached: Option<Reached>,
}

impl HostStream {
    /// The host's stream with its newest report's rows, which are of `at`; none where the plain evaluator must judge this one.
    pub fn follow(&mut self, rules: &StreamRules, series: &HostSeries, at: i64) -> Option<&Stream> {
        let now = series.reached();
        let before = self.reached.replace(now)?;
        match &mut self.stream {
            Some(stream) if now.follows(before) => {
                series.live_rows().for_each(|(block, row)| stream.row(block, at, |column| row.value(column)));
            }
            _ => {
                let is_steady = now.revision == before.revision;
                self.stream = if is_steady { rules.stream(series, at) } else { None };
            }
        }
        self.stream.as_ref()
    }
}
