//! The CMDB: what there is, how we know, and what depends on what.
//!
//! [`Graph`] holds every configuration item and relation in memory. What agents find comes in as fragments of sections
//! ([`Graph::apply_fragment`]), is compared with what is known, and leaves few facts: one for a section with its delta,
//! whatever the number of its items. Unchanged content leaves none. Other practices ask through the narrow functions of
//! [`Graph`]: `host_of`, `find`, `unit`, `neighbours`, `impact`, `describe`; for correlation `upstream`, `downstream`,
//! `path`, `common_upstream`, `peers`, `recent_changes`, `changed_alike`.

mod apply;
pub mod ci;
mod claims;
pub mod classes;
mod compare;
mod connect;
mod edges;
mod enrol;
pub mod facts;
pub mod few;
mod found;
pub mod graph;
pub mod identify;
pub mod impact;
mod index;
mod life;
pub mod links;
pub mod named;
mod peers;
pub mod query;
pub mod reach;
pub mod recent;
mod recognise;
pub mod relations;
pub mod section;
pub mod shared;
mod slab;
mod take;
#[cfg(test)]
mod tests;
mod verdict;
mod written;

pub use ci::{Ci, Digest, Held, Identifier, Lifecycle, SectionMark};
pub use classes::{Class, Value};
pub use facts::{AttributeChange, CmdbFact, SectionFact};
pub use graph::{Context, Graph, Outcome};
pub use links::Link;
pub use peers::{Peer, PeerKind};
pub use query::as_of;
pub use reach::{Common, Reach, Reached};
pub use recent::RecentChange;
pub use relations::{Relation, RelationKind, Source, Verdict, When};
