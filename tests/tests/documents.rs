//! What the documents and the manifests promise about the tree, held against the tree.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use watchkeep_tests::built::repository;

/// All that decisions may stand on. A runtime, a database, a network or a clock has no place here.
const DESK_MAY_NAME: [&str; 8] =
    ["minijinja", "serde", "serde_json", "sha2", "thiserror", "watchkeep-rules", "insta", "proptest"];

/// Crate → the crates of the workspace that it may name.
const MAY_IMPORT: [(&str, &[&str]); 6] = [
    ("protocol", &[]),
    ("rules", &[]),
    ("agent", &["watchkeep-protocol"]),
    ("controller/desk", &["watchkeep-rules"]),
    ("controller", &["watchkeep-desk", "watchkeep-protocol", "watchkeep-rules"]),
    ("tests", &["watchkeep", "watchkeep-agent", "watchkeep-desk", "watchkeep-protocol", "watchkeep-rules"]),
];

#[test]
fn the_architecture_names_every_crate_and_folder_and_none_that_is_gone() -> Result<()> {
    let map = read("ARCHITECTURE.md")?;
    let named: BTreeSet<_> = map
        .lines()
        .filter_map(|line| line.strip_prefix("### `")?.split_once("/`"))
        .map(|(folder, _)| folder.to_owned())
        .collect();
    let mut there: BTreeSet<_> = members()?.into_iter().collect();
    there.extend(tracked()?.iter().filter_map(|path| path.split_once('/')).map(|(top, _)| top.to_owned()));
    // What tools demand by a fixed name is explained by the tools.
    there.retain(|folder| !folder.starts_with('.'));

    let unnamed: Vec<_> = there.difference(&named).collect();
    assert!(unnamed.is_empty(), "ARCHITECTURE.md has no heading \"### `FOLDER/`\" for {unnamed:?}");
    let gone: Vec<_> = named.iter().filter(|folder| !repository().join(folder).is_dir()).collect();
    assert!(gone.is_empty(), "ARCHITECTURE.md names folders that are gone: {gone:?}");
    Ok(())
}

#[test]
fn every_path_in_the_documents_is_there() -> Result<()> {
    let tracked = tracked()?;
    let exists = |path: &str| tracked.iter().any(|file| file == path || file.starts_with(&format!("{path}/")));
    let mut missing = Vec::new();
    for document in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"] {
        let text = read(document)?;
        let spoken = text.split("```").step_by(2).flat_map(|prose| prose.split('`').skip(1).step_by(2));
        let paths = spoken.filter(|quoted| is_path_of_the_tree(quoted)).map(|path| path.trim_end_matches('/'));
        missing.extend(paths.filter(|path| !exists(path)).map(|path| format!("{document}: {path}")));
    }
    assert!(missing.is_empty(), "the documents name paths that are not in the tree: {missing:#?}");
    Ok(())
}

#[test]
fn every_make_command_in_the_documents_is_a_target_with_help() -> Result<()> {
    let makefile = read("Makefile")?;
    let targets: BTreeSet<_> =
        makefile.lines().filter(|line| line.contains("## ")).filter_map(|line| Some(line.split_once(':')?.0)).collect();
    for document in ["README.md", "CONTRIBUTING.md"] {
        let text = read(document)?;
        let words: Vec<_> = text.split(|c: char| c.is_whitespace() || c == '`').collect();
        let asked: BTreeSet<_> = words
            .windows(2)
            .filter(|pair| pair[0] == "make" && pair[1].chars().all(|c| c.is_ascii_lowercase()) && !pair[1].is_empty())
            .map(|pair| pair[1])
            .collect();
        ensure!(!asked.is_empty(), "{document} names no make command");
        let unknown: Vec<_> = asked.difference(&targets).collect();
        assert!(unknown.is_empty(), "{document} says make {unknown:?}, the Makefile knows {targets:?}");
    }
    Ok(())
}

#[test]
fn the_desk_names_no_runtime_database_network_or_clock() -> Result<()> {
    let named = dependencies("controller/desk")?;
    let foreign: Vec<_> = named.iter().filter(|name| !DESK_MAY_NAME.contains(&name.as_str())).collect();
    assert!(foreign.is_empty(), "controller/desk/Cargo.toml names {foreign:?}; decisions are pure");
    Ok(())
}

#[test]
fn agent_and_controller_meet_in_the_protocol_only() -> Result<()> {
    let known: BTreeSet<_> = MAY_IMPORT.iter().map(|(folder, _)| (*folder).to_owned()).collect();
    assert_eq!(known, members()?.into_iter().collect(), "a new crate says here whom it may import");
    for (folder, may) in MAY_IMPORT {
        let ours: Vec<_> = dependencies(folder)?.into_iter().filter(|name| name.starts_with("watchkeep")).collect();
        let foreign: Vec<_> = ours.iter().filter(|name| !may.contains(&name.as_str())).collect();
        assert!(foreign.is_empty(), "{folder}/Cargo.toml names {foreign:?}");
    }
    Ok(())
}

#[test]
fn every_dependency_has_its_reason_and_every_reason_its_dependency() -> Result<()> {
    let manifest = read("Cargo.toml")?;
    let section = manifest.split_once("[workspace.dependencies]").context("find the dependencies")?.1;
    let used: BTreeSet<_> = section
        .lines()
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| Some(line.split_once(" = ")?.0))
        .filter(|name| !name.starts_with(['#', ' ']) && !name.starts_with("watchkeep"))
        .collect();

    let document = read("CONTRIBUTING.md")?;
    let table = document.split_once("| crate | for | why this one |").context("find the table")?.1;
    let cells = table.lines().skip(2).take_while(|line| line.starts_with('|')).filter_map(|row| row.split('|').nth(1));
    let explained: BTreeSet<_> = cells.flat_map(|cell| cell.split(',')).map(name_in_cell).collect();
    assert_eq!(used, explained, "left: the root Cargo.toml; right: the table of CONTRIBUTING.md");
    Ok(())
}

#[test]
fn no_test_is_switched_off() -> Result<()> {
    let mark = concat!("#[", "ignore");
    let mut off = Vec::new();
    for file in tracked()?.iter().filter(|file| file.ends_with(".rs")) {
        let text = read(file)?;
        let lines = text.lines().enumerate().filter(|(_, line)| line.trim_start().starts_with(mark));
        off.extend(lines.map(|(number, _)| format!("{file}:{}", number + 1)));
    }
    assert!(off.is_empty(), "a test that does not run proves nothing: {off:?}");
    Ok(())
}

#[test]
fn continuous_integration_runs_what_everybody_runs() -> Result<()> {
    let script = read(".ci/run")?;
    let does: Vec<_> = script.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    assert_eq!(does, ["set -eu", r#"cd "$(dirname "$0")/..""#, "exec make test"]);
    Ok(())
}

/// `tokio`; of "rumqttc-next (as `rumqttc`)" the name that Cargo.toml uses.
fn name_in_cell(cell: &str) -> &str {
    cell.split('`').nth(1).unwrap_or(cell).trim()
}

/// `agent/src/spool/`, `Makefile`: what looks like a place in the tree, no pattern and no command.
fn is_path_of_the_tree(quoted: &str) -> bool {
    const TOPS: [&str; 8] =
        ["protocol/", "agent/", "rules/", "controller/", "packaging/", "systemd/", "tests/", ".ci/"];
    TOPS.iter().any(|top| quoted.starts_with(top)) && !quoted.contains(['*', ' ', '<', '{', '…'])
}

fn read(path: &str) -> Result<String> {
    fs::read_to_string(repository().join(path)).with_context(|| format!("read {path}"))
}

/// The paths of all files that git tracks.
fn tracked() -> Result<Vec<String>> {
    let output = Command::new("git").arg("ls-files").current_dir(repository()).output().context("run git ls-files")?;
    ensure!(output.status.success(), "git ls-files: {}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
}

/// The folders of the workspace's crates.
fn members() -> Result<Vec<String>> {
    let manifest = read("Cargo.toml")?;
    let list = manifest.split_once("members = [").and_then(|(_, rest)| rest.split_once(']')).context("find members")?;
    Ok(list.0.split('"').skip(1).step_by(2).map(str::to_owned).collect())
}

/// The names in every section of dependencies of a crate.
fn dependencies(folder: &str) -> Result<BTreeSet<String>> {
    let manifest = read(&format!("{folder}/Cargo.toml"))?;
    let mut names = BTreeSet::new();
    let mut inside = false;
    for line in manifest.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[') {
            inside = section.trim_end_matches(']').ends_with("dependencies");
        } else if inside && let Some((key, _)) = line.split_once('=') {
            let name = key.trim().trim_end_matches(".workspace").trim_matches('"');
            names.insert(name.to_owned());
        }
    }
    ensure!(!names.is_empty(), "{folder}/Cargo.toml: no dependency was found");
    Ok(names)
}
