//! The desk as a whole: inputs in, facts and effects out, no runtime and no clock.

mod acts;
mod bench;
mod guards;
mod incidents;
mod properties;
mod replay;
mod runs;
mod story;
