//! The states of a problem.

use crate::flow::{Allowed, Cell, Flow, Who};
use crate::words::words;

words! {
    /// Where a problem stands.
    State "state of a problem" {
        New = "new",
        Investigating = "investigating",
        /// The cause is known, with a workaround that every incident shows that joins.
        KnownError = "known_error",
        FixInProgress = "fix_in_progress",
        Resolved = "resolved",
        Closed = "closed",
        Cancelled = "cancelled",
    }
}

words! {
    /// What is done to a problem.
    Action "action on a problem" {
        Investigate = "investigate",
        KnownError = "known_error",
        Fix = "fix",
        Resolve = "resolve",
        /// All its incidents are over, and nobody has taken it up.
        Recover = "recover",
        /// An incident of it came back after it was resolved.
        Recur = "recur",
        Reopen = "reopen",
        Close = "close",
        /// Resolved for long enough.
        Expire = "expire",
        Cancel = "cancel",
        Assign = "assign",
        /// Takes in incidents.
        Join = "join",
        /// Becomes part of another problem.
        Merge = "merge",
        /// Lets incidents go.
        Split = "split",
        Note = "note",
    }
}

use State::{Cancelled, Closed, FixInProgress, Investigating, KnownError, New, Resolved};

const OPEN: &[State] = &[New, Investigating, KnownError, FixInProgress];
const LIVE: &[State] = &[New, Investigating, KnownError, FixInProgress, Resolved];
const PERSON: &[Who] = &[Who::Person];

/// The flow of a problem.
pub const FLOW: Flow<State, Action> = Flow {
    noun: "problem",
    allowed: &[
        Allowed { from: &[New], action: Action::Investigate, to: Some(Investigating), who: PERSON, needs: &[] },
        Allowed { from: OPEN, action: Action::KnownError, to: Some(KnownError), who: PERSON, needs: &["workaround"] },
        Allowed {
            from: &[New, Investigating, KnownError],
            action: Action::Fix,
            to: Some(FixInProgress),
            who: PERSON,
            needs: &[],
        },
        Allowed { from: OPEN, action: Action::Resolve, to: Some(Resolved), who: PERSON, needs: &["note"] },
        Allowed { from: &[New], action: Action::Recover, to: Some(Resolved), who: &[Who::Controller], needs: &[] },
        Allowed { from: &[Resolved], action: Action::Recur, to: Some(New), who: &[Who::Alert], needs: &[] },
        Allowed { from: &[Resolved], action: Action::Reopen, to: Some(New), who: PERSON, needs: &["note"] },
        Allowed { from: &[Resolved], action: Action::Close, to: Some(Closed), who: PERSON, needs: &[] },
        Allowed { from: &[Resolved], action: Action::Expire, to: Some(Closed), who: &[Who::Controller], needs: &[] },
        Allowed { from: OPEN, action: Action::Cancel, to: Some(Cancelled), who: PERSON, needs: &["note"] },
        Allowed { from: OPEN, action: Action::Assign, to: None, who: PERSON, needs: &["assignee or group"] },
        Allowed { from: LIVE, action: Action::Join, to: None, who: &[Who::Person, Who::Controller], needs: &[] },
        Allowed {
            from: LIVE,
            action: Action::Merge,
            to: Some(Closed),
            who: &[Who::Person, Who::Controller],
            needs: &[],
        },
        Allowed { from: LIVE, action: Action::Split, to: None, who: PERSON, needs: &["note"] },
        Allowed { from: LIVE, action: Action::Note, to: None, who: PERSON, needs: &["note"] },
    ],
    against,
};

fn against(state: State, action: Action) -> &'static str {
    match (state, action) {
        (Closed, _) => "a closed problem stays as it is; open a new one of the incidents that are still there",
        (Cancelled, _) => "a cancelled problem stays as it is; open a new one",
        (Resolved, Action::Resolve | Action::Recover) => "it is resolved already",
        (Resolved, Action::Cancel) => "close it, or reopen it first",
        (Resolved, _) => "reopen it first",
        (_, Action::Investigate) => "somebody has taken it up already",
        (_, Action::Fix) => "its fix is in progress already",
        (_, Action::Recover) => "somebody has taken it up and resolves it themselves",
        (_, Action::Reopen | Action::Recur) => "it is open already",
        (_, Action::Close | Action::Expire) => "resolve it first",
        (_, _) => "nothing more can be done in this state",
    }
}

/// Every pair of state and action, for documentation and console.
pub fn table() -> Vec<Cell> {
    FLOW.table()
}

impl State {
    /// Not resolved, closed or cancelled.
    pub fn is_open(self) -> bool {
        OPEN.contains(&self)
    }

    /// Nothing happens to it any more.
    pub fn is_final(self) -> bool {
        matches!(self, Closed | Cancelled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_is_allowed_or_refused_with_a_sentence() {
        insta::assert_snapshot!(crate::flow::check(&FLOW));
    }

    #[test]
    fn the_fallback_sentence_is_for_no_pair() {
        for cell in table() {
            let refused = cell.refused.unwrap_or_default();
            assert!(!refused.contains("nothing more can be done"), "{} + {}", cell.state, cell.action);
        }
    }
}
