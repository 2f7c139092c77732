//! Which controller the command line speaks to.
//!
//! `WATCHKEEP_URL` with `WATCHKEEP_TOKEN` win; else the context file that `watchkeep up` writes:
//! `$XDG_CONFIG_HOME/watchkeep/context.yaml`, or `~/.config/watchkeep/context.yaml`.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Where a controller is, and as whom.
#[derive(Clone)]
pub struct Context {
    /// Without a slash at its end.
    pub url: String,
    pub token: String,
}

/// The context file.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContextFile {
    pub url: String,
    /// The token stays where the controller keeps it.
    pub token_file: PathBuf,
}

/// Why there is no context.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    #[error(
        "no controller is known here: start one with \"watchkeep up\", or set WATCHKEEP_URL and WATCHKEEP_TOKEN to reach another"
    )]
    Unknown,
    #[error("WATCHKEEP_URL is set but WATCHKEEP_TOKEN is not; set both, or neither to use the context file")]
    NoToken,
    #[error("read \"{path}\"")]
    Read {
        path: PathBuf,
        #[source]
        cause: std::io::Error,
    },
    #[error("{path}: {fault}")]
    Faulty { path: PathBuf, fault: String },
}

/// Where the context file lies for this user.
pub fn path() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config")))?;
    Some(base.join("watchkeep/context.yaml"))
}

impl Context {
    /// The context in force: environment first, then the file.
    pub fn find() -> Result<Self, ContextError> {
        let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        match (set("WATCHKEEP_URL"), set("WATCHKEEP_TOKEN")) {
            (Some(url), Some(token)) => return Ok(Self { url: url.trim_end_matches('/').to_owned(), token }),
            (Some(_), None) => return Err(ContextError::NoToken),
            (None, _) => {}
        }
        let path = path().filter(|path| path.exists()).ok_or(ContextError::Unknown)?;
        Self::read(&path)
    }

    fn read(path: &Path) -> Result<Self, ContextError> {
        let read = |path: &Path| {
            std::fs::read_to_string(path).map_err(|cause| ContextError::Read { path: path.to_owned(), cause })
        };
        let file: ContextFile = serde_yaml::from_str(&read(path)?)
            .map_err(|fault| ContextError::Faulty { path: path.to_owned(), fault: fault.to_string() })?;
        let token = read(&file.token_file)?.trim().to_owned();
        Ok(Self { url: file.url.trim_end_matches('/').to_owned(), token })
    }
}

impl ContextFile {
    /// Writes the file, so that the command line finds the controller; its folder is made.
    pub fn write(&self, path: &Path) -> std::io::Result<()> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let text = serde_yaml::to_string(self).map_err(std::io::Error::other)?;
        std::fs::write(path, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_up_writes_the_command_line_finds() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (path, token_file) = (folder.path().join("deep/context.yaml"), folder.path().join("token"));
        std::fs::write(&token_file, "wkt_abc\n").expect("a token file");
        let file = ContextFile { url: "http://127.0.0.1:8420/".to_owned(), token_file };
        file.write(&path).expect("it can be written");
        let context = Context::read(&path).expect("it can be read");
        assert_eq!((context.url.as_str(), context.token.as_str()), ("http://127.0.0.1:8420", "wkt_abc"));
    }
}
