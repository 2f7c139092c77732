//! `watchkeep rules check|explain|fmt|test FILE…` without a controller, for who only writes rules: this
//! links in seconds and needs nothing installed. Incidents are the desk's to judge, which is not here.
//!
//! `cargo run -p watchkeep-rules --example watchkeep-rules -- rules test FILE…`

use std::path::PathBuf;
use std::process::ExitCode;

use watchkeep_rules::promql::Features;
use watchkeep_rules::{explain, format, lint, load, test};

fn main() -> ExitCode {
    let (features, args): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(|arg| arg.starts_with("--enable-feature="));
    let names: Vec<&str> = features.iter().filter_map(|arg| arg.split_once('=')).map(|(_, names)| names).collect();
    if let Err(wrong) = Features::named(&names.join(",")).and_then(Features::enable) {
        eprintln!("{wrong}");
        return ExitCode::from(2);
    }
    let mut args = args.into_iter().skip_while(|arg| arg == "rules");
    let what = args.next().unwrap_or_default();
    let files: Vec<PathBuf> = args.map(PathBuf::from).collect();
    match what.as_str() {
        "check" => check(&files),
        "explain" => explain_rules(&files),
        "fmt" => show_formatted(&files),
        "test" => {
            let report = test::run(&files, None);
            println!("{report}");
            if report.passed() { ExitCode::SUCCESS } else { ExitCode::from(1) }
        }
        _ => {
            eprintln!("usage: watchkeep-rules [--enable-feature=NAMES] [rules] check|explain|fmt|test FILE…");
            ExitCode::from(2)
        }
    }
}

fn explain_rules(files: &[PathBuf]) -> ExitCode {
    let book = load::read_files(files).and_then(|files| load::check(&files)).map_err(|faults| faults.to_string());
    match book.and_then(|book| explain::explain(&book)) {
        Ok(explained) => {
            println!("{explained}");
            ExitCode::SUCCESS
        }
        Err(wrong) => {
            eprintln!("{wrong}");
            ExitCode::from(1)
        }
    }
}

/// Onto standard output, one file behind the other.
fn show_formatted(files: &[PathBuf]) -> ExitCode {
    let shown = load::read_files(files).and_then(|files| {
        files
            .iter()
            .map(|(path, text)| format::format(&path.display().to_string(), text))
            .collect::<Result<String, _>>()
    });
    match shown {
        Ok(shown) => {
            print!("{shown}");
            ExitCode::SUCCESS
        }
        Err(faults) => {
            eprintln!("{faults}");
            ExitCode::from(1)
        }
    }
}

fn check(files: &[PathBuf]) -> ExitCode {
    match load::read_files(files)
        .and_then(|files| Ok(lint::checked(&files, &load::check(&files)?, &lint::Settings::default())))
    {
        Ok(checked) => {
            println!("{checked}");
            ExitCode::SUCCESS
        }
        Err(faults) => {
            eprintln!("{faults}");
            ExitCode::from(1)
        }
    }
}
