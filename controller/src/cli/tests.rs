//! What the command line says of itself.

use std::collections::BTreeSet;

use clap::{CommandFactory as _, Parser as _};

use super::{Cli, exit};

/// The help of a subcommand, named by its words, as wide as where no terminal is.
fn help(words: &[&str]) -> String {
    let mut command = Cli::command().term_width(100);
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
fn every_argument_says_what_it_is_and_none_has_an_empty_default() {
    fn walk(command: &clap::Command, path: &str, silent: &mut Vec<String>) {
        for argument in command.get_arguments().filter(|argument| !argument.is_hide_set()) {
            let name = format!("{path} {}", argument.get_id());
            if argument.get_help().is_none_or(|help| help.to_string().is_empty()) {
                silent.push(format!("{name} says nothing"));
            }
            let is_empty = argument.get_default_values().iter().any(|value| value.is_empty());
            if is_empty && !argument.is_hide_default_value_set() {
                silent.push(format!("{name} shows an empty default"));
            }
        }
        let subs = command.get_subcommands().filter(|sub| sub.get_name() != "help");
        subs.for_each(|sub| walk(sub, &format!("{path} {}", sub.get_name()), silent));
    }
    let (mut command, mut silent) = (Cli::command(), Vec::new());
    command.build();
    walk(&command, "watchkeep", &mut silent);
    assert!(silent.is_empty(), "{}", silent.join("\n"));
}

#[test]
fn each_exit_code_has_one_meaning() {
    let codes: BTreeSet<u8> = exit::TABLE.iter().map(|(code, _)| *code).collect();
    assert_eq!(codes.len(), exit::TABLE.len());
}

#[test]
fn the_readmes_example_of_a_chart_over_weeks_is_a_command() {
    let readme = include_str!("../../../README.md");
    let example = readme.lines().find(|line| line.contains("--max-source-resolution")).expect("it is there");
    let words = example.trim().replace('\'', "");
    let read = Cli::try_parse_from(words.split(' '));
    assert!(read.is_ok(), "{:?}", read.err().map(|error| error.to_string()));
}
