//! `watchkeep-agent`: see [`watchkeep_agent::cli`].

fn main() -> std::process::ExitCode {
    watchkeep_agent::cli::main()
}
