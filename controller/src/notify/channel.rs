//! The channels that notices go out on: what stands under `notify` in the settings, each under a name.
//!
//! The outbox keeps a row a channel by its name. One that is given (`name: pager`) stays when the address changes; without
//! it the address's host and port are the name.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::json;
use watchkeep_desk::Millis;
use watchkeep_desk::decision::Notice;

use super::webhook::{self, Secret, Webhook};

/// The longest name of a channel, bytes.
const NAME_BYTES: usize = 64;

/// Where notices go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Unique among the channels of a generation.
    pub name: String,
    pub way: Way,
}

/// How they get there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// A signed webhook; the secret is in a file, relative to the configuration directory.
    Webhook { url: String, secret_file: PathBuf },
}

/// A channel as it is written.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Written {
    Webhook {
        #[serde(default)]
        name: Option<String>,
        url: String,
        secret_file: PathBuf,
    },
}

/// Gives each channel its name.
///
/// # Errors
/// A name that is given twice, or is none.
pub fn named(written: Vec<Written>) -> Result<Vec<Channel>, String> {
    let mut channels: Vec<Channel> = Vec::new();
    for Written::Webhook { name, url, secret_file } in written {
        let is_taken = |name: &str| channels.iter().any(|channel| channel.name == name);
        let name = match name {
            Some(name) if name.trim().is_empty() || name.len() > NAME_BYTES || name.chars().any(char::is_control) => {
                return Err(format!(
                    "\"{}\" is no name for a channel under \"notify\"; give it 1 to {NAME_BYTES} bytes of text",
                    name.escape_debug()
                ));
            }
            Some(name) if is_taken(&name) => {
                return Err(format!(
                    "two channels under \"notify\" have the name \"{name}\"; give one of them another"
                ));
            }
            Some(name) => name,
            None => {
                let of_url = webhook::authority(&url);
                let numbered = (2..).map(|number| format!("{of_url}-{number}"));
                let mut free = std::iter::once(of_url.clone()).chain(numbered);
                free.find(|name| !is_taken(name)).expect("numbers do not end")
            }
        };
        channels.push(Channel { name, way: Way::Webhook { url, secret_file } });
    }
    Ok(channels)
}

impl Channel {
    /// The kind of it, and where it goes, for people: of a URL scheme and host alone.
    pub fn shown(&self) -> (&'static str, String) {
        match &self.way {
            Way::Webhook { url, .. } => ("webhook", webhook::shown(url)),
        }
    }

    /// One attempt to tell of `notice`. `config_dir` is where secrets lie.
    ///
    /// # Errors
    /// Why it was not taken, in words.
    pub async fn deliver(
        &self,
        http: &reqwest::Client,
        config_dir: &Path,
        notice: &Notice,
        now: Millis,
    ) -> Result<(), String> {
        let Way::Webhook { url, secret_file } = &self.way;
        let path = config_dir.join(secret_file);
        let read = tokio::fs::read(&path).await;
        let secret = read.map_err(|error| format!("read secret_file \"{}\": {error}", path.display()))?;
        let webhook = Webhook { url: url.clone(), secret: Secret::new(&secret) };
        let body = json!({
            "notice": notice.notice,
            "why": notice.why,
            "group": notice.group,
            "incident": notice.incident,
            "problem": notice.problem,
            "content": notice.content,
        });
        let id = notice.notice.to_string();
        let sent = webhook::post(http, &webhook, &id, body.to_string().into_bytes(), now.0 / 1_000).await;
        sent.map_err(|error| crate::core::engine::chain(&error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Result<Vec<String>, String> {
        let written = serde_yaml::from_str(text).map_err(|error| error.to_string())?;
        Ok(named(written)?.into_iter().map(|channel| channel.name).collect())
    }

    #[test]
    fn a_channel_has_the_name_that_it_is_given_or_that_of_its_address() {
        let text = "\
- webhook: {url: 'https://pager.example/hook?key=1', secret_file: s}
- webhook: {name: night, url: 'https://pager.example/night', secret_file: s}
- webhook: {url: 'https://pager.example/other', secret_file: s}
- webhook: {url: 'http://127.0.0.1:8080/', secret_file: s}
";
        assert_eq!(names(text).expect("named"), ["pager.example", "night", "pager.example-2", "127.0.0.1:8080"]);
    }

    #[test]
    fn a_name_is_given_once() {
        let one = "- webhook: {name: a, url: 'https://a.example', secret_file: s}\n";
        let said = names(&one.repeat(2)).expect_err("refused");
        assert_eq!(said, "two channels under \"notify\" have the name \"a\"; give one of them another");
        let said = names(&one.replace("name: a", "name: ''")).expect_err("refused");
        assert!(said.starts_with("\"\" is no name for a channel"), "{said}");
    }
}
