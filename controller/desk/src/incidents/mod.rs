//! Incidents: from an alert to a record that people and runbooks work on.
//!
//! [`Incident`] is the record, [`IncidentFact`] what happens to it, [`flow::FLOW`] its states as a table.

mod fact;
pub mod flow;
mod record;

pub use fact::{IncidentFact, Opening};
pub use flow::{Action, State, table};
pub use record::{
    AlertStanding, Attachment, Awaiting, Incident, IncidentKey, Link, MemberAlert, Priority, Resolution,
    ResolutionCode, TIMELINE_MAX, TimelineEntry,
};
