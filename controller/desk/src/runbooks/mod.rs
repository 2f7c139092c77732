//! Runbook runs: planned, hashed, guarded, journalled, verified.
//!
//! [`Run`] is the record, [`RunFact`] what happens to it, [`flow::FLOW`] its states as a table, [`Plan`] what will be done
//! where, with the hash that is approved.

mod fact;
pub mod flow;
mod record;

pub use fact::RunFact;
pub use flow::{Action, State, table};
pub use record::{Plan, PlannedAction, PlannedStep, Run, StepRun, StepState, Wait, Watch};
