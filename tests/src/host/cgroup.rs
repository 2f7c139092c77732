//! A cgroup for each host: its systemd must not share a tree with another's.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::wait;

/// Where systemd keeps its tree: alone on version 2, or beside version 1 on older machines.
const TREES: [&str; 3] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"];

/// One folder in each tree of systemd's; removed when dropped, once its processes are gone.
pub struct Cgroup {
    folders: Vec<PathBuf>,
}

impl Cgroup {
    pub fn new(name: &str) -> Result<Self> {
        let mut cgroup = Self { folders: Vec::new() };
        for tree in TREES.map(Path::new).into_iter().filter(|tree| tree.join("cgroup.procs").is_file()) {
            let folder = tree.join(name);
            fs::create_dir(&folder)
                .with_context(|| format!("make cgroup {}; hosts are booted by root only", folder.display()))?;
            cgroup.folders.push(folder);
        }
        ensure!(!cgroup.folders.is_empty(), "no cgroup tree of systemd's is mounted under /sys/fs/cgroup");
        Ok(cgroup)
    }

    /// A command that moves itself into the cgroup and then becomes `program`.
    pub fn command_inside(&self, program: &str) -> Command {
        let mut command = Command::new("sh");
        command.args([
            "-c",
            r#"while [ "$1" != -- ]; do echo $$ >"$1/cgroup.procs"; shift; done; shift; exec "$@""#,
            "sh",
        ]);
        command.args(&self.folders).args(["--", program]);
        command
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for folder in &self.folders {
            let gone = wait::until(Duration::from_secs(5), "the cgroup to empty", || Ok(remove_tree(folder)?));
            if let Err(error) = gone {
                eprintln!("removing cgroup {}: {error:#}", folder.display());
            }
        }
    }
}

/// Removes a cgroup from its leaves up; its files are the kernel's and go with the folders.
fn remove_tree(folder: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_tree(&entry.path())?;
        }
    }
    fs::remove_dir(folder)
}
