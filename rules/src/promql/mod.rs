//! PromQL with the semantics of Prometheus 3: a parser that knows where everything stands, and a plain evaluator.
//!
//! The evaluator is the oracle: written to be read beside Prometheus's documentation, not to be fast. Whatever else
//! evaluates expressions must give what it gives.

pub mod ast;
pub mod labels;
pub mod series;
