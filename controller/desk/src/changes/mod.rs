//! Change enablement: what is about to be done to the estate, and whether it may.
//!
//! Each run of a runbook is a standard change from the template that the runbook names. [`flow::FLOW`] has the states.

mod fact;
pub mod flow;
mod record;

pub use fact::ChangeFact;
pub use flow::{Action, State, table};
pub use record::{Change, Success};
