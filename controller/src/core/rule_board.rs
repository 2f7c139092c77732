//! What everybody sees of rules: which fail, of all workers and of the rules across hosts, and how the latter stand.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::detect::metrics::{FailingRule, Judged, RuleHealth, Standing};

/// Shared between whoever evaluates rules and whoever asks. A rule is told of in the log when it begins to fail anywhere, and
/// when it works everywhere again.
#[derive(Debug, Default)]
pub struct RuleBoard {
    board: Mutex<Board>,
    streamed: AtomicU64,
    plain: AtomicU64,
}

#[derive(Debug, Default)]
struct Board {
    /// By who evaluates.
    of: BTreeMap<usize, RuleHealth>,
    /// Failed evaluations by group, since the start.
    failures: BTreeMap<String, u64>,
    across: Standing,
}

impl RuleBoard {
    /// What `who` (a worker's number, or one past them all for rules across hosts) evaluates stands like this now.
    pub fn put(&self, who: usize, health: RuleHealth) {
        let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        for (group, more) in health.failures() {
            *board.failures.entry(group.clone()).or_default() += more;
        }
        let before = board.failing();
        board.of.insert(who, health);
        let after = board.failing();
        drop(board);
        let known = |all: &[FailingRule], one: &FailingRule| all.iter().any(|other| other.is_same(one));
        for FailingRule { group, rule, message, agent, .. } in after.iter().filter(|rule| !known(&before, rule)) {
            let agent = agent.as_deref().unwrap_or_default();
            tracing::warn!(group, rule, agent, message, "a rule cannot be evaluated; it is told of once");
        }
        for FailingRule { group, rule, .. } in before.iter().filter(|rule| !known(&after, rule)) {
            tracing::info!(group, rule, "a rule that failed can be evaluated again");
        }
    }

    /// The rules across hosts stand like this now.
    pub fn put_across(&self, standing: Standing) {
        self.board.lock().unwrap_or_else(PoisonError::into_inner).across = standing;
    }

    /// How the rules across hosts stand, and those over series that others write.
    pub fn across(&self) -> Standing {
        self.board.lock().unwrap_or_else(PoisonError::into_inner).across.clone()
    }

    /// Rules that fail, by group and name, with the hosts of all workers counted together.
    pub fn failing(&self) -> Vec<FailingRule> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner).failing()
    }

    /// Rules of single hosts were evaluated so often.
    pub fn judged(&self, judged: Judged) {
        self.streamed.fetch_add(judged.streamed, Ordering::Relaxed);
        self.plain.fetch_add(judged.plain, Ordering::Relaxed);
    }

    /// Evaluations of single hosts' rules since the start.
    pub fn all_judged(&self) -> Judged {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Judged { streamed: of(&self.streamed), plain: of(&self.plain) }
    }

    /// Failed evaluations by group (`file;name`) since the start.
    pub fn failures(&self) -> BTreeMap<String, u64> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner).failures.clone()
    }
}

impl Board {
    fn failing(&self) -> Vec<FailingRule> {
        let mut all: Vec<FailingRule> = self.of.values().flat_map(RuleHealth::failing).cloned().collect();
        all.sort_by(|a, b| (&a.group, &a.rule).cmp(&(&b.group, &b.rule)));
        all.dedup_by(|next, first| {
            let same = next.is_same(first);
            if same {
                first.hosts += next.hosts;
            }
            same
        });
        all
    }
}

#[cfg(test)]
mod tests {
    use watchkeep_rules::metric::RuleError;

    use super::*;
    use crate::detect::metrics::Failing;

    /// One worker's host, for which a rule fails or works.
    fn evaluated(failing: &mut Failing, health: &mut RuleHealth, agent: &str, fails: bool) -> RuleHealth {
        let error = RuleError { rule: "Busy".to_owned(), message: "two results have the same labels".to_owned() };
        let errors = if fails { vec![error] } else { Vec::new() };
        failing.evaluated(Some(agent), "rules.yaml;load", &errors, health);
        health.take_if_changed().expect("something changed")
    }

    #[test]
    fn a_rule_that_fails_for_hosts_of_two_workers_is_one() {
        let board = RuleBoard::default();
        let (mut one, mut two) = (Failing::default(), Failing::default());
        let (mut of_one, mut of_two) = (RuleHealth::default(), RuleHealth::default());
        board.put(0, evaluated(&mut one, &mut of_one, "web-1", true));
        board.put(1, evaluated(&mut two, &mut of_two, "web-2", true));
        let [failing] = board.failing().try_into().expect("one rule");
        assert_eq!((failing.hosts, failing.agent.as_deref()), (2, Some("web-1")));
        board.put(0, evaluated(&mut one, &mut of_one, "web-1", false));
        assert_eq!(board.failing()[0].hosts, 1);
        board.put(1, evaluated(&mut two, &mut of_two, "web-2", false));
        assert_eq!(board.failing(), []);
        assert_eq!(board.failures(), BTreeMap::from([("rules.yaml;load".to_owned(), 2)]), "what was counted stays");
    }
}
