//! Which controller the command line speaks to.
//!
//! `WATCHKEEP_URL` with `WATCHKEEP_TOKEN` win; else the context file that `watchkeep up` writes: the one that
//! `WATCHKEEP_CONTEXT` names, or `$XDG_CONFIG_HOME/watchkeep/context.yaml`, or `~/.config/watchkeep/context.yaml`.

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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
        "no controller is known here: start one with \"watchkeep up\", or set WATCHKEEP_URL and WATCHKEEP_TOKEN (or WATCHKEEP_CONTEXT, a file) to reach another"
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
    if let Some(named) = set("WATCHKEEP_CONTEXT") {
        return Some(named);
    }
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
        Self::read(&path().ok_or(ContextError::Unknown)?)
    }

    fn read(path: &Path) -> Result<Self, ContextError> {
        let file = read(path)?.ok_or(ContextError::Unknown)?;
        let token = text(&file.token_file)?.trim().to_owned();
        Ok(Self { url: file.url.trim_end_matches('/').to_owned(), token })
    }
}

fn text(path: &Path) -> Result<String, ContextError> {
    std::fs::read_to_string(path).map_err(|cause| ContextError::Read { path: path.to_owned(), cause })
}

/// What stands in the context file at `path`; nothing where there is no such file.
///
/// # Errors
/// It cannot be read, or is no context file.
pub fn read(path: &Path) -> Result<Option<ContextFile>, ContextError> {
    if !path.exists() {
        return Ok(None);
    }
    let faulty = |fault: serde_yaml::Error| ContextError::Faulty { path: path.to_owned(), fault: fault.to_string() };
    serde_yaml::from_str(&text(path)?).map(Some).map_err(faulty)
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
