//! `watchkeep rules fmt`: files in their one form.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;
use watchkeep_rules::{Faults, format, load};

use super::found;
use crate::cli::output::{self, Format};
use crate::cli::{Failure, Outcome, exit};

/// Where a file stands for what comes by standard input.
const STDIN: &str = "-";

#[derive(Debug, Args)]
#[command(
    after_help = "A directory stands for all .yaml files in it but those of tests, which are named by themselves. `-` reads \
                  standard input and writes to standard output.\nComments stay, and so does what a file means. Exit 1: a file \
                  cannot be read, or --check found one that would change."
)]
pub struct Fmt {
    /// Rule files, or directories of them
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Change nothing: name the files that would change, and exit 1 for them
    #[arg(long)]
    check: bool,
}

impl Fmt {
    pub fn run(self, shown: Format) -> Outcome {
        if self.files == [Path::new(STDIN)] {
            return self.standard_input(shown);
        }
        let files = load::read_files(&self.files).map_err(|faults| found(&faults, shown))?;
        let mut changed = Vec::new();
        for (path, text) in &files {
            let written = format::format(&path.display().to_string(), text).map_err(|faults| found(&faults, shown))?;
            if written == *text {
                continue;
            }
            if !self.check {
                replace(path, &written)?;
            }
            changed.push(path.display().to_string());
        }
        let all = files.len();
        output::one(shown, &json!({"files": all, "changed": changed}), |_| told(self.check, all, &changed));
        if self.check && !changed.is_empty() { Err(Failure::said(exit::FOUND_WANTING)) } else { Ok(()) }
    }

    fn standard_input(&self, shown: Format) -> Outcome {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .map_err(|error| Failure::new(exit::FOUND_WANTING, format!("standard input cannot be read: {error}")))?;
        let written = format::format("standard input", &text).map_err(|faults: Faults| found(&faults, shown))?;
        if !self.check {
            output::say(&written);
        }
        if self.check && written != text { Err(Failure::said(exit::FOUND_WANTING)) } else { Ok(()) }
    }
}

/// One file, whole or not at all: what stops halfway leaves the old one.
fn replace(path: &Path, text: &str) -> Outcome {
    let wrong = |error: std::io::Error| {
        Failure::new(exit::FOUND_WANTING, format!("\"{}\" cannot be written: {error}", path.display()))
    };
    let path = path.canonicalize().map_err(wrong)?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    let written = std::fs::write(&new, text)
        .and_then(|()| std::fs::set_permissions(&new, std::fs::metadata(&path)?.permissions()))
        .and_then(|()| std::fs::rename(&new, &path));
    if written.is_err() {
        let _ = std::fs::remove_file(&new); // what was left of it; the first error is told
    }
    written.map_err(wrong)
}

fn told(check: bool, all: usize, changed: &[String]) -> String {
    let files = |count: usize| if count == 1 { "1 file".to_owned() } else { format!("{count} files") };
    let what = match (changed.len(), check) {
        (0, _) if all == 1 => "1 file as it should be\n".to_owned(),
        (0, _) => format!("{} as they should be\n", files(all)),
        (count, true) => format!("{} of {all} would be set out anew; without --check they are\n", files(count)),
        (count, false) => format!("{} of {all} set out anew\n", files(count)),
    };
    changed.iter().map(|name| format!("{name}\n")).collect::<String>() + &what
}
