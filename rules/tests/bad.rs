//! One file a fault: `bad/NAME.yaml`, and beside it in `bad/NAME.txt` what its author is told, to the letter.
//!
//! After a change of words run once with `WATCHKEEP_UPDATE=1`, then read the difference as its author would.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use watchkeep_rules::load::load;

fn files(folder: &Path, extension: &str) -> BTreeSet<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the folder of bad files is there");
    let paths = entries.map(|entry| entry.expect("a readable entry").path());
    paths.filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
}

#[test]
fn every_fault_is_told_to_the_letter() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad");
    let mend = std::fs::read_to_string(folder.join("mend.good")).expect("the runbook that rules may name");
    let update = std::env::var_os("WATCHKEEP_UPDATE").is_some();
    let mut wrong = Vec::new();
    let bad = files(&folder, "yaml");
    assert!(bad.len() >= 50, "only {} files in {}", bad.len(), folder.display());
    for path in &bad {
        let text = std::fs::read_to_string(path).expect("a readable file");
        let name = PathBuf::from(path.file_name().expect("a file has a name"));
        let mut given = vec![(name, text.clone())];
        if !text.starts_with("runbook: mend") {
            given.push((PathBuf::from("mend.yaml"), mend.clone()));
        }
        let told = match load(&given) {
            Ok(_) => "it was loaded\n".to_owned(),
            Err(faults) => format!("{faults}\n"),
        };
        let beside = path.with_extension("txt");
        if update {
            std::fs::write(&beside, &told).expect("a writable folder");
        }
        let expected = std::fs::read_to_string(&beside).unwrap_or_default();
        if told != expected {
            wrong.push(format!("{}\n--- expected\n{expected}--- told\n{told}", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_message_has_its_file() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad");
    let stem = |path: &PathBuf| path.with_extension("");
    let bad: BTreeSet<PathBuf> = files(&folder, "yaml").iter().map(stem).collect();
    let told: BTreeSet<PathBuf> = files(&folder, "txt").iter().map(stem).collect();
    assert_eq!(bad, told);
}
