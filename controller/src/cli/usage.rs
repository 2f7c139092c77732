//! A command line that is wrong is told with an example of the right one.

use clap::CommandFactory as _;
use clap::error::ErrorKind;

use super::Cli;

/// Prints what clap says of `error`, with the examples of the command that `words` name, and ends as clap does.
pub fn end(error: &clap::Error, words: impl Iterator<Item = String>) -> ! {
    // Nobody can be told that nothing can be printed.
    let _ = error.print();
    if let Some(examples) = examples(error.kind(), words) {
        eprintln!("\n{examples}");
    }
    std::process::exit(error.exit_code())
}

/// The examples of the command that was meant, where its arguments are wrong.
fn examples(kind: ErrorKind, words: impl Iterator<Item = String>) -> Option<String> {
    use ErrorKind::{InvalidValue, MissingRequiredArgument, NoEquals, TooFewValues, UnknownArgument, ValueValidation};
    let of_arguments =
        [InvalidValue, MissingRequiredArgument, NoEquals, TooFewValues, UnknownArgument, ValueValidation];
    if !of_arguments.contains(&kind) {
        return None;
    }
    let mut command = Cli::command();
    command.build();
    let mut meant = &command;
    for word in words {
        // Options may stand between the words of a command.
        meant = meant.find_subcommand(&word).unwrap_or(meant);
    }
    meant.get_after_help().map(ToString::to_string).filter(|help| help.starts_with("Example"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    fn told(line: &str) -> Option<String> {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let error = Cli::try_parse_from(&words).expect_err("it is wrong");
        examples(error.kind(), words.into_iter().skip(1))
    }

    #[test]
    fn who_leaves_an_argument_out_sees_how_it_is_done() {
        for (line, example) in [
            ("watchkeep incident resolve INC-2", "watchkeep incident resolve INC-7 --note"),
            ("watchkeep -o json incident hold INC-2", "watchkeep incident hold INC-7 --for vendor"),
            ("watchkeep problem merge PRB-1", "watchkeep problem merge PRB-3 --into PRB-2"),
            ("watchkeep incident hold INC-2 --for ever", "--for vendor"),
        ] {
            let told = told(line).unwrap_or_else(|| panic!("{line} tells no example"));
            assert!(told.contains(example), "{line}: {told}");
        }
    }

    #[test]
    fn help_and_unknown_commands_are_left_to_clap() {
        assert_eq!(told("watchkeep incident --help"), None);
        assert_eq!(told("watchkeep insident"), None);
        assert_eq!(told("watchkeep problem"), None);
    }
}
