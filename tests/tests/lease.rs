//! Two controllers on one database: one decides, and the other is told so.

use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use watchkeep::store::lease::{RENEWED_MS, TERM_MS};
use watchkeep::store::testing::Cluster;
use watchkeep_tests::process::Process;
use watchkeep_tests::{Controller, Setup, wait};

const TERM: Duration = Duration::from_millis(TERM_MS as u64);
const RENEWED: Duration = Duration::from_millis(RENEWED_MS as u64);
/// Beside a term: what a start, or an end, may take on a busy machine.
const A_START: Duration = Duration::from_secs(20);
/// Of `watchkeep help-exit-codes`: another controller decides.
const HELD: i32 = 7;

#[test]
fn of_two_controllers_on_one_sqlite_file_one_decides() -> Result<()> {
    let folder = tempfile::tempdir()?;
    one_decides(&format!("sqlite:{}", folder.path().join("shared.db").display()))
}

#[test]
fn of_two_controllers_on_one_postgresql_one_decides() -> Result<()> {
    let cluster = Cluster::start().map_err(anyhow::Error::msg)?;
    one_decides(&cluster.database("watchkeep").map_err(anyhow::Error::msg)?)
}

/// Each on a data directory of its own, as on two hosts.
fn one_decides(database: &str) -> Result<()> {
    let setup = || Setup { database: Some(database.to_owned()), ..Setup::default() };
    let mut first = Controller::start(setup())?;
    let mut second = Controller::prepare(setup())?;
    same_identity(&first, &second)?;

    // Refused with words, for longer than a term, since the first says again and again that it is there.
    let began = Instant::now();
    while began.elapsed() < TERM + RENEWED {
        is_refused(&second, &first)?;
        std::thread::sleep(Duration::from_secs(1));
    }
    first.ask(&["stop-switch", "on", "--note", "the first still decides"])?;

    // Killed, the first starts again at once: nobody else can have its data directory.
    first.kill()?;
    let killed = Instant::now();
    first.run()?;
    ensure!(killed.elapsed() < TERM, "it took {:?} to start again after a kill", killed.elapsed());

    // Taken over from, the first ends by itself, at its next word at the latest.
    second.run_with(&["--take-over"])?;
    let ended = wait::until(RENEWED + A_START, "the first to end", || first.ended()?.context("it runs"))?;
    ensure!(!ended.success() && first.log().contains("another controller has taken over"), "{}", first.log());
    second.ask(&["stop-switch", "off", "--note", "the second decides"])?;
    is_refused(&first, &second)?;

    // Killed, the second leaves a lease that runs out by itself; the first need not say anything to have it.
    second.kill()?;
    let killed = Instant::now();
    is_refused(&first, &second)?;
    std::thread::sleep(TERM.saturating_sub(killed.elapsed()));
    first.run()?;
    first.ask(&["stop-switch", "on", "--note", "the first decides again"])?;

    // Stopped in order, it lets the lease go.
    first.stop()?;
    second.run()?;
    ensure!(second.ask(&["audit", "verify"])?.contains("holds"), "the chain of both holds");
    Ok(())
}

/// What an operator copies to a second host: the keys, the CA, and the ledger's secret.
fn same_identity(from: &Controller, to: &Controller) -> Result<()> {
    std::fs::create_dir_all(to.data()).context("make the second data directory")?;
    for what in ["ca", "keys", "ledger.secret", "token"] {
        let mut copy = Command::new("cp");
        let status = copy.arg("-a").arg(from.data().join(what)).arg(to.data()).status().context("run cp")?;
        ensure!(status.success(), "cp of \"{what}\": {status}");
    }
    Ok(())
}

/// That `other` is refused, with words that name `holder` and say what to do.
fn is_refused(other: &Controller, holder: &Controller) -> Result<()> {
    let (status, said) = serve(&mut other.command(&[])?)?;
    ensure!(status.code() == Some(HELD), "{status}: {said}");
    let data = holder.data().display().to_string();
    for words in ["another controller decides", &data, ", since 20", "runs out at 20", "--take-over"] {
        ensure!(said.contains(words), "no {words:?} in: {said}");
    }
    Ok(())
}

#[test]
fn a_data_directory_is_for_one_controller_and_free_when_it_was_killed() -> Result<()> {
    let mut controller = Controller::start(Setup::default())?;
    let (status, said) = serve(&mut controller.command(&["--take-over"])?)?;
    ensure!(status.code() == Some(HELD), "{status}: {said}");
    let who = format!("is in use by process {} on host", controller.process().id());
    ensure!(said.contains(&who) && said.contains("stop that controller first"), "{said}");
    controller.kill()?;
    let killed = Instant::now();
    controller.run()?;
    ensure!(killed.elapsed() < TERM, "it took {:?} to start again after a kill", killed.elapsed());
    controller.stop()
}

/// Runs a controller that is to end by itself, and what it said.
fn serve(command: &mut Command) -> Result<(ExitStatus, String)> {
    let folder = tempfile::tempdir()?;
    let mut process = Process::start("a controller to be refused", command, folder.path().join("log"))?;
    let status = wait::until(A_START, "it to be refused", || process.ended()?.context("it runs"))?;
    Ok((status, process.log()))
}
