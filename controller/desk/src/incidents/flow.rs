//! The states of an incident.

use crate::flow::{Allowed, Cell, Flow, Who};
use crate::words::words;

words! {
    /// Where an incident stands.
    State "state of an incident" {
        New = "new",
        /// Somebody has seen it; it still resolves by itself.
        Acknowledged = "acknowledged",
        /// Somebody works on it; it no longer resolves by itself.
        InProgress = "in_progress",
        OnHold = "on_hold",
        Resolved = "resolved",
        Closed = "closed",
        Cancelled = "cancelled",
    }
}

words! {
    /// What is done to an incident.
    Action "action on an incident" {
        Acknowledge = "acknowledge",
        Assign = "assign",
        Progress = "progress",
        Hold = "hold",
        Resolve = "resolve",
        /// All its alerts have been clear for long enough.
        Recover = "recover",
        Reopen = "reopen",
        /// A new alert of its key soon after it was resolved.
        Recur = "recur",
        Close = "close",
        /// Resolved for long enough.
        Expire = "expire",
        Cancel = "cancel",
        Note = "note",
        Prioritise = "prioritise",
    }
}

use State::{Acknowledged, Cancelled, Closed, InProgress, New, OnHold, Resolved};

const OPEN: &[State] = &[New, Acknowledged, InProgress, OnHold];

/// The flow of an incident.
pub const FLOW: Flow<State, Action> = Flow {
    noun: "incident",
    allowed: &[
        Allowed {
            from: &[New],
            action: Action::Acknowledge,
            to: Some(Acknowledged),
            who: &[Who::Person, Who::Run],
            needs: &[],
        },
        Allowed { from: OPEN, action: Action::Assign, to: None, who: &[Who::Person], needs: &["assignee or group"] },
        Allowed {
            from: &[New, Acknowledged, OnHold],
            action: Action::Progress,
            to: Some(InProgress),
            who: &[Who::Person, Who::Run],
            needs: &[],
        },
        Allowed {
            from: &[New, Acknowledged, InProgress],
            action: Action::Hold,
            to: Some(OnHold),
            who: &[Who::Person],
            needs: &["awaiting"],
        },
        Allowed {
            from: OPEN,
            action: Action::Resolve,
            to: Some(Resolved),
            who: &[Who::Person, Who::Run],
            needs: &["code", "note"],
        },
        Allowed {
            from: &[New, Acknowledged],
            action: Action::Recover,
            to: Some(Resolved),
            who: &[Who::Controller],
            needs: &[],
        },
        Allowed { from: &[Resolved], action: Action::Reopen, to: Some(New), who: &[Who::Person], needs: &["note"] },
        Allowed { from: &[Resolved], action: Action::Recur, to: Some(New), who: &[Who::Alert], needs: &[] },
        Allowed { from: &[Resolved], action: Action::Close, to: Some(Closed), who: &[Who::Person], needs: &[] },
        Allowed { from: &[Resolved], action: Action::Expire, to: Some(Closed), who: &[Who::Controller], needs: &[] },
        Allowed { from: OPEN, action: Action::Cancel, to: Some(Cancelled), who: &[Who::Person], needs: &["note"] },
        Allowed {
            from: &[New, Acknowledged, InProgress, OnHold, Resolved],
            action: Action::Note,
            to: None,
            who: &[Who::Person],
            needs: &["note"],
        },
        Allowed { from: OPEN, action: Action::Prioritise, to: None, who: &[Who::Person], needs: &["priority", "note"] },
    ],
    against,
};

fn against(state: State, action: Action) -> &'static str {
    match (state, action) {
        (Closed, _) => "a closed incident stays as it is; a new alert opens a new one that names it",
        (Cancelled, _) => "a cancelled incident stays as it is; a new alert opens a new one",
        (Resolved, Action::Cancel) => "close it, or reopen it first",
        (Resolved, Action::Resolve | Action::Recover) => "it has its resolution already",
        (Resolved, _) => "reopen it first",
        (InProgress | OnHold, Action::Recover) => "somebody has taken it over and resolves it themselves",
        (_, Action::Reopen | Action::Recur) => "it is open already",
        (_, Action::Close | Action::Expire) => "resolve it first",
        (_, Action::Acknowledge) => "it has been acknowledged already",
        (_, Action::Progress) => "it is in progress already",
        (_, Action::Hold) => "it is on hold already; put it in progress first",
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
            assert!(
                !refused.contains("nothing more can be done"),
                "{} + {} has no sentence of its own",
                cell.state,
                cell.action
            );
        }
    }
}
