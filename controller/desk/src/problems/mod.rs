//! Problems: the common cause behind incidents.
//!
//! [`Problem`] is the record, [`ProblemFact`] what happens to it, [`flow::FLOW`] its states as a table. As an incident opens,
//! `surroundings` keeps what it needs and what changed around it; `evidence` weighs what it has in common with others that
//! opened lately; `correlate` finds those whose evidence is strong enough, and `unite` makes them one problem; `candidates` ranks what may be the cause; `page`
//! sees to it that people are paged once for all of them. `parts` merges problems and splits them. Time alone is no evidence: it only says whom to look at.
//! Other practices call what is named here and nothing else.

mod acts;
mod candidates;
mod correlate;
mod evidence;
mod fact;
pub mod flow;
mod history;
mod members;
mod page;
mod parts;
mod record;
mod surroundings;
mod unite;

pub(crate) use acts::act;
pub(crate) use correlate::{fires_again, incident_opened, surroundings_changed};
pub use evidence::{Evidence, EvidenceKind, Link};
pub use fact::{ProblemFact, ProblemOpening};
pub use flow::{Action, State, table};
pub(crate) use history::mark_of;
pub(crate) use members::{expire, incident_changed, incident_over, incident_reopened, live_problem_of, why};
pub(crate) use page::{announce, due, follow_up, unmuted};
pub use record::{Candidate, Origin, Paging, Part, Problem, TIMELINE_MAX, Told, Workaround};
pub use surroundings::{Need, Surroundings, Suspect};
