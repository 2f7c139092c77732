//! The states of a change.

use crate::flow::{Allowed, Cell, Flow, Who};
use crate::words::words;

words! {
    /// Where a change stands.
    State "state of a change" {
        Draft = "draft",
        Assessing = "assessing",
        AwaitingApproval = "awaiting_approval",
        Scheduled = "scheduled",
        Implementing = "implementing",
        /// Done; whether it did what it should is being looked at.
        Review = "review",
        Closed = "closed",
        Rejected = "rejected",
        Cancelled = "cancelled",
        Failed = "failed",
    }
}

words! {
    /// What is done to a change.
    Action "action on a change" {
        Assess = "assess",
        AskApproval = "ask_approval",
        /// A standard change needs nobody's approval but its template's.
        Preapprove = "preapprove",
        Approve = "approve",
        Reject = "reject",
        Implement = "implement",
        Review = "review",
        Close = "close",
        Cancel = "cancel",
        Fail = "fail",
        Measure = "measure",
    }
}

use State::{Assessing, AwaitingApproval, Cancelled, Closed, Draft, Failed, Implementing, Rejected, Review, Scheduled};

/// The flow of a change.
pub const FLOW: Flow<State, Action> = Flow {
    noun: "change",
    allowed: &[
        Allowed { from: &[Draft], action: Action::Assess, to: Some(Assessing), who: &[Who::Person], needs: &[] },
        Allowed {
            from: &[Draft, Assessing],
            action: Action::AskApproval,
            to: Some(AwaitingApproval),
            who: &[Who::Person, Who::Run],
            needs: &[],
        },
        Allowed { from: &[Draft], action: Action::Preapprove, to: Some(Scheduled), who: &[Who::Run], needs: &[] },
        Allowed {
            from: &[AwaitingApproval],
            action: Action::Approve,
            to: Some(Scheduled),
            who: &[Who::Person],
            needs: &["plan_hash"],
        },
        Allowed {
            from: &[AwaitingApproval],
            action: Action::Reject,
            to: Some(Rejected),
            who: &[Who::Person],
            needs: &["note"],
        },
        Allowed { from: &[Scheduled], action: Action::Implement, to: Some(Implementing), who: &[Who::Run], needs: &[] },
        Allowed { from: &[Implementing], action: Action::Review, to: Some(Review), who: &[Who::Run], needs: &[] },
        Allowed { from: &[Review], action: Action::Close, to: Some(Closed), who: &[Who::Person, Who::Run], needs: &[] },
        Allowed {
            from: &[Draft, Assessing, AwaitingApproval, Scheduled],
            action: Action::Cancel,
            to: Some(Cancelled),
            who: &[Who::Person, Who::Run, Who::Controller],
            needs: &[],
        },
        Allowed {
            from: &[Implementing, Review],
            action: Action::Fail,
            to: Some(Failed),
            who: &[Who::Person, Who::Run],
            needs: &[],
        },
        Allowed { from: &[Closed, Failed], action: Action::Measure, to: None, who: &[Who::Controller], needs: &[] },
    ],
    against,
};

fn against(state: State, action: Action) -> &'static str {
    match (state, action) {
        (Rejected | Cancelled, _) => "it was never made; open a new change",
        (Closed | Failed, _) => "it is over; open a new change",
        (_, Action::Measure) => "its success is measured once it is closed or failed",
        (Implementing | Review, Action::Cancel) => "it has begun; let it finish, or fail it",
        (Implementing, _) => "it is being carried out; let it finish, or fail it",
        (Review, _) => "it has been carried out; close it, or fail it",
        (Scheduled, Action::Approve | Action::Reject | Action::Preapprove | Action::AskApproval | Action::Assess) => {
            "it is approved already; cancel it instead"
        }
        (_, Action::Implement | Action::Review | Action::Close | Action::Fail) => {
            "it must be approved and carried out first"
        }
        (_, Action::Approve | Action::Reject) => "nobody was asked to approve it yet",
        (_, _) => "it has gone past that",
    }
}

/// Every pair of state and action, for documentation and console.
pub fn table() -> Vec<Cell> {
    FLOW.table()
}

impl State {
    /// Nothing more is carried out for it.
    pub fn is_over(self) -> bool {
        matches!(self, Closed | Rejected | Cancelled | Failed)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_pair_is_allowed_or_refused_with_a_sentence() {
        insta::assert_snapshot!(crate::flow::check(&super::FLOW));
    }
}
