//! A limit of memory, by the kernel that a test host shares with this machine.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::{Host, unique_name};

/// The tree that limits memory and the file that does: alone on version 2, a tree of its own on version 1.
const TREES: [(&str, &str); 2] = [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")];

/// A control group of this machine; removed when dropped, once its processes are gone.
pub struct MemoryLimit {
    folder: PathBuf,
}

impl MemoryLimit {
    /// What runs in it gets so much; past that the kernel kills. The machine has no swap, or it is limited too.
    pub fn new(bytes: u64) -> Result<Self> {
        for (tree, file) in TREES.map(|(tree, file)| (Path::new(tree), file)) {
            let folder = tree.join(unique_name());
            if !tree.join("cgroup.procs").is_file() || fs::create_dir(&folder).is_err() {
                continue;
            }
            let limit = Self { folder };
            if limit.folder.join(file).is_file() {
                fs::write(limit.folder.join(file), bytes.to_string()).context("limit the group's memory")?;
                // Each version has one of them; what is not there cannot be made.
                for swap in ["memory.swap.max", "memory.swappiness"].map(|name| limit.folder.join(name)) {
                    let _of_the_other_version = fs::write(swap, "0");
                }
                return Ok(limit);
            }
        }
        anyhow::bail!("no tree of control groups under /sys/fs/cgroup limits memory, or this is not root")
    }

    /// A program on the host, inside the limit.
    pub fn command<S: AsRef<OsStr>>(&self, host: &Host, argv: impl IntoIterator<Item = S>) -> Result<Command> {
        let inside = host.command(argv);
        let procs = self.folder.join("cgroup.procs");
        ensure!(procs.is_file(), "{} is not there", procs.display());
        let mut command = Command::new("sh");
        command.args(["-c", r#"echo $$ >"$1" && shift && exec "$@""#, "sh"]).arg(procs);
        command.arg(inside.get_program()).args(inside.get_args());
        Ok(command)
    }
}

impl Drop for MemoryLimit {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir(&self.folder) {
            eprintln!("removing {}: {error}", self.folder.display());
        }
    }
}
