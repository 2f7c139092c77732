//! The CMDB from outside: fragments in, facts and records out.

mod connections;
mod fixture;
mod hosts;
mod lifecycle;
mod near;
mod properties;
mod questions;
mod sections;
