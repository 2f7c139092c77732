//! Lists page by page.

use clap::Args;
use serde_json::{Value, json};

use super::client::{Client, ClientError};

/// How much of a list.
#[derive(Debug, Args)]
pub struct Paging {
    /// Items at most, 1 to 500
    #[arg(long, default_value_t = 50)]
    limit: u32,
    /// Go on from where a list ended
    #[arg(long)]
    cursor: Option<String>,
    /// All of it, page after page
    #[arg(long, conflicts_with_all = ["limit", "cursor"])]
    all: bool,
}

impl Paging {
    /// Asks for the list at `path`; with `--all` every page of it, as one.
    pub async fn list(&self, client: &Client, path: &str, filter: &[(&str, String)]) -> Result<Value, ClientError> {
        let mut cursor = self.cursor.clone();
        let mut items = Vec::new();
        loop {
            let limit = if self.all { 500 } else { self.limit };
            let mut query = filter.to_vec();
            query.push(("limit", limit.to_string()));
            query.extend(cursor.take().map(|cursor| ("cursor", cursor)));
            let page = client.get(path, &query).await?;
            if !self.all {
                return Ok(page);
            }
            items.extend(page["items"].as_array().cloned().unwrap_or_default());
            match page["next"].as_str() {
                Some(next) => cursor = Some(next.to_owned()),
                None => return Ok(json!({"items": items, "next": null})),
            }
        }
    }
}
