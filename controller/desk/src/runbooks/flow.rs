//! The states of a run.

use crate::flow::{Allowed, Cell, Flow, Who};
use crate::words::words;

words! {
    /// Where a run stands.
    State "state of a run" {
        Planned = "planned",
        AwaitingApproval = "awaiting_approval",
        /// For its guards: rate, lock, cooldown, stop switch, an agent that is away.
        Waiting = "waiting",
        Running = "running",
        Verifying = "verifying",
        RollingBack = "rolling_back",
        /// A step was begun and nobody knows how it ended.
        Unknown = "unknown",
        Succeeded = "succeeded",
        Failed = "failed",
        Rejected = "rejected",
        Expired = "expired",
        Cancelled = "cancelled",
        Stopped = "stopped",
    }
}

words! {
    /// What happens to a run.
    Action "action on a run" {
        AskApproval = "ask_approval",
        Approve = "approve",
        Reject = "reject",
        Expire = "expire",
        Wait = "wait",
        Start = "start",
        Verify = "verify",
        Succeed = "succeed",
        RollBack = "roll_back",
        Fail = "fail",
        LoseTrack = "lose_track",
        /// The missing result came after all.
        Settle = "settle",
        Stop = "stop",
        Cancel = "cancel",
    }
}

use State::{
    AwaitingApproval, Cancelled, Expired, Failed, Planned, Rejected, RollingBack, Running, Stopped, Succeeded, Unknown,
    Verifying, Waiting,
};

/// The flow of a run.
pub const FLOW: Flow<State, Action> = Flow {
    noun: "run",
    allowed: &[
        Allowed {
            from: &[Planned],
            action: Action::AskApproval,
            to: Some(AwaitingApproval),
            who: &[Who::Controller],
            needs: &[],
        },
        Allowed {
            from: &[AwaitingApproval],
            action: Action::Approve,
            to: Some(Waiting),
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
        Allowed {
            from: &[AwaitingApproval],
            action: Action::Expire,
            to: Some(Expired),
            who: &[Who::Controller],
            needs: &[],
        },
        Allowed {
            from: &[Planned, Waiting],
            action: Action::Wait,
            to: Some(Waiting),
            who: &[Who::Controller],
            needs: &[],
        },
        Allowed {
            from: &[Planned, Waiting],
            action: Action::Start,
            to: Some(Running),
            who: &[Who::Controller],
            needs: &[],
        },
        Allowed { from: &[Running], action: Action::Verify, to: Some(Verifying), who: &[Who::Run], needs: &[] },
        Allowed {
            from: &[Running, Verifying],
            action: Action::Succeed,
            to: Some(Succeeded),
            who: &[Who::Run],
            needs: &[],
        },
        Allowed {
            from: &[Running, Verifying],
            action: Action::RollBack,
            to: Some(RollingBack),
            who: &[Who::Run],
            needs: &[],
        },
        Allowed {
            from: &[Planned, Waiting, Running, Verifying, RollingBack],
            action: Action::Fail,
            to: Some(Failed),
            who: &[Who::Run],
            needs: &[],
        },
        Allowed {
            from: &[Running, RollingBack],
            action: Action::LoseTrack,
            to: Some(Unknown),
            who: &[Who::Controller],
            needs: &[],
        },
        Allowed { from: &[Unknown], action: Action::Settle, to: Some(Running), who: &[Who::Run], needs: &[] },
        Allowed {
            from: &[Running, Verifying, RollingBack, Unknown],
            action: Action::Stop,
            to: Some(Stopped),
            who: &[Who::Person],
            needs: &[],
        },
        Allowed {
            from: &[Planned, AwaitingApproval, Waiting],
            action: Action::Cancel,
            to: Some(Cancelled),
            who: &[Who::Person, Who::Controller],
            needs: &[],
        },
    ],
    against,
};

fn against(state: State, action: Action) -> &'static str {
    match (state, action) {
        (Succeeded | Failed | Rejected | Expired | Cancelled | Stopped, _) => "it is over; start the runbook again",
        (Planned | Waiting, Action::Approve | Action::Reject | Action::Expire | Action::AskApproval) => {
            "it needs no approval now; stop it instead"
        }
        (AwaitingApproval, Action::Start | Action::Wait) => "a person must approve its plan first",
        (AwaitingApproval, Action::AskApproval) => "approval was asked for already",
        (Planned | Waiting | AwaitingApproval, _) => "it has not begun",
        (Unknown, Action::Succeed | Action::Fail | Action::Verify | Action::RollBack | Action::LoseTrack) => {
            "nobody knows how its step ended; look at the host, then stop it"
        }
        (_, Action::Cancel) => "it has begun; stop it instead",
        (_, Action::Settle) => "no step of it is in doubt",
        (_, Action::Approve | Action::Reject | Action::Expire | Action::AskApproval) => "it has begun; stop it instead",
        (_, Action::Start | Action::Wait) => "it has begun already",
        (Verifying, _) => "all its steps are done and it is being verified",
        (RollingBack, _) => "it has failed and is being rolled back",
        (_, _) => "its steps are not at that point",
    }
}

/// Every pair of state and action, for documentation and console.
pub fn table() -> Vec<Cell> {
    FLOW.table()
}

impl State {
    /// Nothing is done for it any more.
    pub fn is_over(self) -> bool {
        matches!(self, Succeeded | Failed | Rejected | Expired | Cancelled | Stopped)
    }

    /// It has begun and holds the lock of its host.
    pub fn is_going(self) -> bool {
        matches!(self, Running | Verifying | RollingBack | Unknown)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_pair_is_allowed_or_refused_with_a_sentence() {
        insta::assert_snapshot!(crate::flow::check(&super::FLOW));
    }
}
