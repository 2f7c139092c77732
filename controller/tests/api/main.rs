//! The API as its callers meet it: a whole controller on free ports, asked over HTTP.

mod acts;
mod alertmanager;
mod configuration;
mod life;
mod names;
mod otlp;
mod peer;
mod people;
mod problems;
mod prometheus;
mod prometheus_rules;
mod remote_write;
mod rights;
mod stream;
mod world;
