//! The HTTP API under `/api/v1`: JSON, problem+json, cursors, a live stream of the ledger.
//!
//! A noun a file. Reads go to the store's read pool; what a person does becomes an [`watchkeep_desk::input::Act`] and is
//! answered once it is durable. The OpenAPI document is made from the handlers and served at `/api/openapi.json`.

pub mod auth;
pub mod problem;
mod state;

pub use state::{ApiState, Page, PageQuery};

/// The API's routes.
pub fn router(_state: ApiState) -> axum::Router {
    axum::Router::new()
}
