//! Whose controller the command line finds.
//!
//! Each data directory has a context file of its own. The user's one, which the command line reads, is taken by the controller
//! that starts, but never from one that runs: a second `up` beside a first says how it is reached instead. What is replaced is
//! put back at the end.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;

use crate::cli::context::{self, ContextFile};

/// How long a controller of another data directory has to say that it is alive; it is on this machine as a rule.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// The user's context file, and the agent's settings beside it, while a controller runs.
#[derive(Debug)]
pub struct Place {
    path: PathBuf,
    own: ContextFile,
    agent_config: PathBuf,
    standing: Standing,
}

/// Whom the command line finds.
#[derive(Debug, PartialEq, Eq)]
pub enum Standing {
    /// This controller, in place of nobody.
    Ours,
    /// This controller, in place of one that does not answer.
    Instead { of: ContextFile, agent_config: Option<PathBuf> },
    /// Another controller, which runs.
    Theirs { url: String },
}

impl Place {
    /// Takes the file at `path` for `own`, unless it names another controller that is alive.
    ///
    /// # Errors
    /// A file cannot be read, written or linked; what stands there is no context file.
    pub async fn take(
        path: &Path,
        own: ContextFile,
        agent_config: PathBuf,
        http: &reqwest::Client,
    ) -> anyhow::Result<Self> {
        let standing = match context::read(path)? {
            Some(other) if other.token_file != own.token_file => beside(path, &own, other, http).await,
            _ => Standing::Ours,
        };
        let place = Self { path: path.to_owned(), own, agent_config, standing };
        if !matches!(place.standing, Standing::Theirs { .. }) {
            place.own.write(path).with_context(|| format!("write \"{}\"", path.display()))?;
            point_at(&place.agent_config, &agent_link(path))?;
        }
        Ok(place)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn standing(&self) -> &Standing {
        &self.standing
    }

    /// Puts back what stood there before, where nobody else has taken the place meanwhile.
    ///
    /// # Errors
    /// A file cannot be read, written or linked.
    pub fn give_back(self) -> anyhow::Result<()> {
        let Standing::Instead { of, agent_config } = &self.standing else { return Ok(()) };
        if context::read(&self.path)?.as_ref() != Some(&self.own) {
            return Ok(());
        }
        of.write(&self.path).with_context(|| format!("write \"{}\"", self.path.display()))?;
        agent_config.as_ref().map_or(Ok(()), |config| point_at(config, &agent_link(&self.path)))
    }
}

/// How it stands beside `other`, which the file names.
async fn beside(path: &Path, own: &ContextFile, other: ContextFile, http: &reqwest::Client) -> Standing {
    // Who has our address now is ourselves.
    if other.url != own.url && is_alive(&other.url, http).await {
        return Standing::Theirs { url: other.url };
    }
    Standing::Instead { of: other, agent_config: std::fs::read_link(agent_link(path)).ok() }
}

async fn is_alive(url: &str, http: &reqwest::Client) -> bool {
    let asked = http.get(format!("{}/healthz", url.trim_end_matches('/'))).timeout(ANSWERS_WITHIN).send();
    asked.await.is_ok_and(|answer| answer.status().is_success())
}

/// Where the agent's command line looks for its settings.
fn agent_link(context: &Path) -> PathBuf {
    context.with_file_name("agent.yaml")
}

/// Leaves a link to the agent's settings where its command line looks, so that `event send` needs no option.
fn point_at(config: &Path, link: &Path) -> anyhow::Result<()> {
    if std::fs::read_link(link).is_ok_and(|known| known == config) {
        return Ok(());
    }
    if link.is_symlink() {
        std::fs::remove_file(link).with_context(|| format!("remove \"{}\"", link.display()))?;
    }
    if link.exists() {
        tracing::warn!(file = %link.display(), "is a file of yours and stays; name the agent's with --config");
        return Ok(());
    }
    std::os::unix::fs::symlink(config, link).with_context(|| format!("link \"{}\"", link.display()))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// A controller's context file, and where its agent has its settings.
    fn of(data: &Path, url: &str) -> (ContextFile, PathBuf) {
        (ContextFile { url: url.to_owned(), token_file: data.join("token") }, data.join("agent.yaml"))
    }

    fn http() -> reqwest::Client {
        // Another test of this process may have been faster.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        reqwest::Client::new()
    }

    /// Says that it is alive to whoever asks, until the task is dropped.
    async fn alive() -> (String, tokio::task::JoinHandle<()>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port of loopback");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let task = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut asked = [0; 1_024];
                let read = stream.read(&mut asked).await.unwrap_or(0);
                assert!(asked[..read].starts_with(b"GET /healthz "), "asked for something else");
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\nalive\n";
                stream.write_all(answer).await.expect("the answer is taken");
            }
        });
        (url, task)
    }

    #[tokio::test]
    async fn the_place_of_a_controller_that_runs_is_not_taken() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("context.yaml");
        let (url, task) = alive().await;
        let (first, first_agent) = of(&folder.path().join("first"), &url);
        let place = Place::take(&path, first, first_agent.clone(), &http()).await.expect("nobody was there");
        assert_eq!(place.standing(), &Standing::Ours);

        let (second, second_agent) = of(&folder.path().join("second"), "http://127.0.0.1:9");
        let place = Place::take(&path, second, second_agent, &http()).await.expect("it is told");
        assert_eq!(place.standing(), &Standing::Theirs { url: url.clone() });
        place.give_back().expect("there is nothing to do");
        assert_eq!(context::read(&path).expect("it is there").map(|file| file.url), Some(url));
        assert_eq!(std::fs::read_link(folder.path().join("agent.yaml")).expect("a link"), first_agent);
        task.abort();
    }

    #[tokio::test]
    async fn what_is_replaced_is_put_back_at_the_end() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("context.yaml");
        // Nothing listens on the discard port of a test machine's loopback.
        let (first, first_agent) = of(&folder.path().join("first"), "http://127.0.0.1:9");
        Place::take(&path, first, first_agent.clone(), &http()).await.expect("nobody was there");
        let (second, second_agent) = of(&folder.path().join("second"), "http://127.0.0.1:8420");
        let place = Place::take(&path, second, second_agent.clone(), &http()).await.expect("the first is dead");
        assert!(matches!(place.standing(), Standing::Instead { of, .. } if of.url == "http://127.0.0.1:9"));
        let link = folder.path().join("agent.yaml");
        assert_eq!(std::fs::read_link(&link).expect("a link"), second_agent);

        place.give_back().expect("it can be written");
        assert_eq!(
            context::read(&path).expect("it is there").map(|file| file.url).as_deref(),
            Some("http://127.0.0.1:9")
        );
        assert_eq!(std::fs::read_link(&link).expect("a link"), first_agent);
    }

    #[tokio::test]
    async fn what_a_third_took_meanwhile_stays_with_it() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("context.yaml");
        let (first, agent) = of(&folder.path().join("first"), "http://127.0.0.1:9");
        Place::take(&path, first, agent, &http()).await.expect("nobody was there");
        let (second, agent) = of(&folder.path().join("second"), "http://127.0.0.1:10");
        let place = Place::take(&path, second, agent, &http()).await.expect("the first is dead");
        let (third, _) = of(&folder.path().join("third"), "http://127.0.0.1:11");
        third.write(&path).expect("it can be written");
        place.give_back().expect("there is nothing to do");
        assert_eq!(context::read(&path).expect("it is there"), Some(third));
    }
}
