//! The desk as a whole: inputs in, facts and effects out, no runtime and no clock.

mod acts;
mod bench;
mod earlier;
mod estate;
mod guards;
mod incidents;
mod moments;
mod outside;
mod problems;
mod properties;
mod relations;
mod replay;
mod runs;
mod silences;
mod story;
