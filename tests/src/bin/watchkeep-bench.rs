//! Measures, and prints the figures: all rows, or those that are named.

use anyhow::{Result, bail};
use clap::Parser;
use watchkeep_tests::bench::{ROWS, Size};

/// Measure Watchkeep. Other work on the machine changes times, not CPU seconds.
#[derive(Debug, Parser)]
#[command(name = "watchkeep-bench")]
struct Options {
    /// Which measurements; all without
    rows: Vec<String>,
    #[command(flatten)]
    size: Size,
}

fn main() -> Result<()> {
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        bail!("a provider of TLS was installed before");
    }
    let Options { rows, size } = Options::parse();
    for wanted in &rows {
        if ROWS.iter().all(|row| row.name != wanted) {
            bail!("\"{wanted}\" is no measurement; there are {}", ROWS.map(|row| row.name).join(", "));
        }
    }
    for row in ROWS.iter().filter(|row| rows.is_empty() || rows.iter().any(|wanted| wanted == row.name)) {
        println!("{}: {}", row.name, row.what);
        for figure in (row.run)(&size)? {
            println!("  {figure}");
        }
    }
    Ok(())
}
