//! Incidents: from an alert to a record that people and runbooks work on.
//!
//! [`Incident`] is the record, [`IncidentFact`] what happens to it, [`flow::FLOW`] its states as a table. An alert goes
//! through the stages in `alert`: identity, stale, dedupe, incident, route and group; each leaves its reason. Other practices
//! call what is named here and nothing else.

mod about;
mod acts;
mod alert;
mod earlier;
mod evidence;
mod fact;
pub mod flow;
mod key;
mod notice;
mod open;
mod priority;
mod record;
mod resolve;
mod rule;

pub(crate) use acts::act;
pub(crate) use alert::{alert, identity, spoken};
pub(crate) use earlier::mark_of;
pub use fact::{IncidentFact, Opening};
pub use flow::{Action, State, table};
pub use key::key_of;
pub(crate) use notice::{in_short, notified, page, page_due, setting_of as notice_setting, unmuted};
pub use priority::level;
pub use record::{
    AlertStanding, Attachment, Awaiting, Incident, IncidentKey, Link, MemberAlert, Priority, Resolution,
    ResolutionCode, TIMELINE_MAX, TimelineEntry,
};
pub(crate) use resolve::{attach, expire, hand_over, move_by_run, recover, run_ended};
pub use rule::RuleView;
