//! Where the programs under test lie.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The root of the clone.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the repository")
}

/// The built program of this name, beside the running test or program in Cargo's target folder.
///
/// Errors: it was not built; the words say what builds it.
pub fn program(name: &str) -> Result<PathBuf> {
    let profile = profile()?;
    let path = profile.join(name);
    if !path.is_file() {
        bail!("{} is not built; `make test` does it, or `cargo build --workspace --bins`", path.display());
    }
    Ok(path)
}

/// Cargo's target folder.
pub fn target() -> Result<PathBuf> {
    Ok(profile()?.parent().context("the profile's folder lies in the target folder")?.to_owned())
}

/// The folder of the profile that what runs was built with: `target/PROFILE/deps/this-test`, `target/PROFILE/this-program`.
fn profile() -> Result<PathBuf> {
    let this = std::env::current_exe().context("find the running test")?;
    let folder = this.parent().context("a program lies in a folder")?;
    let above = folder.parent().filter(|_| folder.ends_with("deps"));
    Ok(above.unwrap_or(folder).to_owned())
}
