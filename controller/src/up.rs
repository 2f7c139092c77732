//! `watchkeep up`: a controller and an agent for this host, on loopback, from one data directory.

use std::path::PathBuf;

use anyhow::Context as _;

use crate::controller::Options;

/// `$XDG_DATA_HOME/watchkeep`, or `~/.local/share/watchkeep`.
pub fn default_data() -> anyhow::Result<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("XDG_DATA_HOME").or_else(|| Some(set("HOME")?.join(".local/share")));
    Ok(base.context("neither XDG_DATA_HOME nor HOME is set; say where with --data DIR")?.join("watchkeep"))
}

pub fn run(_options: Options) -> anyhow::Result<()> {
    Ok(())
}
