//! `watchkeep user …`: people who log in to the console.

use std::io::{BufRead as _, IsTerminal as _};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use serde_json::json;

use super::client::{Client, segment};
use super::incidents::word;
use super::output::{self, Format, ago, text};
use super::paging::Paging;
use super::{Failure, Outcome, exit};

#[derive(Debug, Subcommand)]
pub enum Users {
    /// Add somebody; without a password, a link logs them in once
    #[command(after_help = "Example:\n  watchkeep user add alice --role responder")]
    Add {
        /// What they log in with: a-z, 0-9, . _ - @
        name: String,
        /// viewer (reads), responder (is on call), operator (says what is true of the estate) or admin
        #[arg(long, default_value = "viewer")]
        role: String,
        /// A file whose first line is the password; "-" is standard input
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// People by name
    List {
        /// Those who were removed too
        #[arg(long)]
        removed: bool,
        #[command(flatten)]
        paging: Paging,
    },
    /// Set somebody's password: asked for, or read; their sessions end
    Passwd {
        /// As "user list" names them
        name: String,
        #[command(flatten)]
        from: From,
    },
    /// Make a link that logs somebody in once, within an hour
    Link {
        /// As "user list" names them
        name: String,
    },
    /// Give somebody another role, from their next click on
    #[command(after_help = "Example:\n  watchkeep user role alice operator")]
    Role {
        /// As "user list" names them
        name: String,
        /// viewer, responder, operator or admin
        role: String,
    },
    /// Remove somebody: their sessions end at once, what they did stays theirs
    Remove {
        /// As "user list" names them
        name: String,
    },
}

/// Where a password comes from.
#[derive(Debug, Args)]
pub struct From {
    /// A file whose first line is the password; "-" is standard input
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl Users {
    pub async fn run(self, client: &Client, format: Format) -> Outcome {
        match self {
            Self::Add { name, role, password_file } => {
                let password = password_file.map(|path| read(&path)).transpose()?;
                let has_password = password.is_some();
                let body = json!({"name": name, "role": role, "password": password});
                let mut answer = client.post("/api/v1/users", &body).await?;
                if !has_password {
                    answer["url"] = link(client, &name).await?.into();
                }
                output::one(format, &answer, |answer| {
                    let added = format!("{name} is added, as {}.\n", word(answer, "role"));
                    if has_password { added } else { format!("{added}{}", logs_in(&name, word(answer, "url"))) }
                });
            }
            Self::List { removed, paging } => {
                let filter: Vec<(&str, String)> = removed.then(|| ("removed", "true".to_owned())).into_iter().collect();
                let answer = paging.list(client, "/api/v1/users", &filter).await?;
                let columns = [
                    text("NAME", "name"),
                    text("ROLE", "role"),
                    ago("SEEN", "seen_at"),
                    ago("AGE", "created_at"),
                    ago("REMOVED", "removed_at"),
                    text("ID", "id"),
                ];
                output::list(
                    format,
                    &answer,
                    &columns,
                    "Nobody. Add somebody: watchkeep user add NAME --role responder",
                );
            }
            Self::Passwd { name, from } => {
                let password = from.password_file.map_or_else(|| ask(&name), |path| read(&path))?;
                let path = format!("/api/v1/users/{}/password", segment(&name));
                client.post(&path, &json!({"password": password})).await?;
                output::say(&format!("{name} has a new password; what was logged in is out.\n"));
            }
            Self::Link { name } => {
                let url = link(client, &name).await?;
                output::one(format, &json!({"url": url}), |_| logs_in(&name, &url));
            }
            Self::Role { name, role } => {
                let path = format!("/api/v1/users/{}/role", segment(&name));
                let answer = client.post(&path, &json!({"role": role})).await?;
                output::one(format, &answer, |answer| format!("{name} is {} now.\n", word(answer, "role")));
            }
            Self::Remove { name } => {
                client.delete(&format!("/api/v1/users/{}", segment(&name))).await?;
                output::say(&format!("{name} is removed.\n"));
            }
        }
        Ok(())
    }
}

/// The whole address of a new link.
async fn link(client: &Client, name: &str) -> Result<String, Failure> {
    let answer = client.post(&format!("/api/v1/users/{}/link", segment(name)), &json!({})).await?;
    Ok(client.url(word(&answer, "link")))
}

fn logs_in(name: &str, url: &str) -> String {
    format!("This logs {name} in, once, within an hour:\n  {url}\n")
}

/// The first line of a file, or of standard input.
fn read(path: &std::path::Path) -> Result<String, Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(exit::ENVIRONMENT, format!("read the password from \"{}\": {error}", path.display()))
    };
    if path.as_os_str() == "-" {
        return line().map_err(failed);
    }
    let text = std::fs::read_to_string(path).map_err(failed)?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

fn line() -> std::io::Result<String> {
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}

/// Asks at the terminal, unseen.
fn ask(name: &str) -> Result<String, Failure> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        let message =
            "there is no terminal to ask at; give the password with --password-file FILE (\"-\": standard input)";
        return Err(Failure::new(exit::USAGE, message));
    }
    let failed = |error: std::io::Error| Failure::new(exit::ENVIRONMENT, format!("ask for the password: {error}"));
    let before = tcgetattr(&stdin).map_err(|error| failed(error.into()))?;
    let mut unseen = before.clone();
    unseen.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&stdin, OptionalActions::Flush, &unseen).map_err(|error| failed(error.into()))?;
    eprint!("New password for {name}: ");
    let typed = line();
    eprintln!();
    let restored = tcsetattr(&stdin, OptionalActions::Now, &before);
    restored.map_err(|error| failed(error.into()))?;
    typed.map_err(failed)
}
