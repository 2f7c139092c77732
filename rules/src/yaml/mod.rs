//! YAML with places: what serde cannot give, since it stops at the first fault.
//!
//! A file becomes a [`Node`] tree over byte offsets; [`Source`] turns offsets into lines and columns, and offsets within a
//! scalar's value back into offsets of the file, whatever its quoting. Files, trees and nesting are bounded.

mod align;
mod source;
mod tree;

pub use source::Source;
pub use tree::{Kind, Node, Style, parse};
