//! A script, written to a file for as long as its interpreter reads it.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use watchkeep_protocol::CommandResult;
use watchkeep_protocol::command::Script;

use super::process::plain;
use super::{Granted, as_wanted, failed};

pub async fn run(action: &Script, granted: &Granted, within: Duration) -> CommandResult {
    let id: String = granted.body.id.iter().map(|byte| format!("{byte:02x}")).collect();
    let file = match Written::new(std::env::temp_dir().join(format!("watchkeep-{id}")), &action.content) {
        Ok(file) => file,
        Err(error) => return failed(granted, format!("write the script to a file: {error}")),
    };
    let mut command = plain(&action.argv);
    command.arg(file.path()).args(&action.arguments);
    as_wanted(command, &action.argv[0], granted, within).await
}

/// A file of ours, gone with this value.
struct Written(PathBuf);

impl Written {
    /// Everybody may read it, as another user's interpreter must; what it says stands in the ledger too. Nothing that lies there
    /// under its name is followed or written over.
    fn new(path: PathBuf, content: &str) -> io::Result<Self> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o444).open(&path)?;
        let written = Self(path);
        // The mode is cut by the process's mask.
        file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o444))?;
        file.write_all(content.as_bytes())?;
        Ok(written)
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        let _gone_already = std::fs::remove_file(&self.0);
    }
}
