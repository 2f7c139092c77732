//! `watchkeep`: the controller and the operator's command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    // The provider of TLS is named once, before anything can ask for a default.
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        eprintln!("watchkeep: a TLS provider was installed before main; this is a bug");
        return ExitCode::from(watchkeep::cli::exit::BUG);
    }
    watchkeep::cli::main()
}
