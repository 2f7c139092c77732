//! Change enablement: what is about to be done to the estate, and whether it may.
//!
//! Each run of a runbook is a standard change from the template that the runbook names. [`flow::FLOW`] has the states. Other
//! practices call what is named here and nothing else.

mod fact;
pub mod flow;
mod record;
mod standard;

pub use fact::ChangeFact;
pub use flow::{Action, State, table};
pub use record::{Change, Success};
pub(crate) use standard::{incident_opened, measure, open, settle, step};
