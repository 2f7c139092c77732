//! What the command line says of itself.

use std::collections::BTreeSet;

use clap::CommandFactory as _;

use super::{Cli, exit};

/// The help of a subcommand, named by its words.
fn help(words: &[&str]) -> String {
    let mut command = Cli::command();
    command.build();
    let mut of = &mut command;
    for word in words {
        of = of.find_subcommand_mut(word).unwrap_or_else(|| panic!("there is a command {word}"));
    }
    of.render_long_help().to_string()
}

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn help_is_what_a_person_would_want_to_read() {
    insta::assert_snapshot!("help", help(&[]));
    insta::assert_snapshot!("help_incident", help(&["incident"]));
    insta::assert_snapshot!("help_runbook_run", help(&["runbook", "run"]));
    insta::assert_snapshot!("help_audit_verify", help(&["audit", "verify"]));
}

#[test]
fn every_command_says_what_it_is_for() {
    fn walk(command: &clap::Command, path: &str) {
        for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
            let path = format!("{path} {}", sub.get_name());
            assert!(sub.get_about().is_some(), "{path} says nothing");
            walk(sub, &path);
        }
    }
    walk(&Cli::command(), "watchkeep");
}

#[test]
fn each_exit_code_has_one_meaning() {
    let codes: BTreeSet<u8> = exit::TABLE.iter().map(|(code, _)| *code).collect();
    assert_eq!(codes.len(), exit::TABLE.len());
}
