//! The API as its callers meet it: a whole controller on free ports, asked over HTTP.

mod acts;
mod configuration;
mod life;
mod problems;
mod prometheus;
mod rights;
mod stream;
mod world;
