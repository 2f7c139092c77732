//! PromQL with the semantics of Prometheus 3: a parser that knows where everything stands, and a plain evaluator.
//!
//! [`parse`] gives a checked expression or every fault with its place. The evaluator is the oracle: written to be read
//! beside Prometheus's documentation, not to be fast. Whatever else evaluates expressions must give what it gives.

pub mod ast;
pub mod calendar;
mod display;
pub mod eval;
mod features;
mod functions;
pub mod histogram;
pub mod labels;
pub mod memory;
mod parse;
mod pretty;
pub mod series;
mod types;

pub use features::Features;
pub use functions::{function_named, functions};
pub use parse::{Asked, SyntaxFault, parse, parse_with};
pub use pretty::{pretty, pretty_as_spelled};
