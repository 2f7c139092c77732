//! The rule language: YAML rule files and runbooks, selectors, event rules, alert states, rule tests.
//!
//! Files are read by [`load`], which returns the checked [`model`] or every fault of every file, each with file, line,
//! column, the line itself and a near word. Nothing else here does I/O, and nothing reads a clock: engines are handed the
//! time with each input.

pub mod absence;
pub mod alert;
pub mod duration;
pub mod events;
pub mod explain;
pub mod fault;
pub mod format;
pub mod jinja;
pub mod lint;
pub mod load;
pub mod metric;
pub mod model;
pub mod near;
mod number;
pub mod packs;
mod parameter;
pub mod promql;
mod quote;
pub mod replay;
pub mod schema;
pub mod selector;
pub mod stream;
pub mod template;
pub mod test;
mod yaml;

pub use fault::{Fault, Faults};
