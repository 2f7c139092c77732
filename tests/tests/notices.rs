//! A notice goes its own way on each channel: what one refuses reaches the other once, waits, is given up, is sent again.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use watchkeep_tests::rulebook::{Book, ORDERED};
use watchkeep_tests::webhook::Receiver;
use watchkeep_tests::{Agent, Controller, Setup, wait};

const SECRET: &str = "between us";
const PATIENCE: Duration = Duration::from_secs(30);
/// Of `watchkeep help-exit-codes`.
const REFUSED: i32 = 4;
const NOT_FOUND: i32 = 5;

#[test]
fn a_channel_that_fails_neither_holds_up_nor_repeats_another() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let book = Book::new(folder.path())?;
    let (day, night) = (Receiver::start(SECRET)?, Receiver::start(SECRET)?);
    let both = settings(&[("day", &day), ("night", &night)]);
    let own = [("watchkeep.yaml", both.as_str()), ("webhook.secret", SECRET)];
    let files = own.map(|(path, text)| (path.to_owned(), text.to_owned())).into_iter().chain(book.configuration());
    let controller = Controller::start(Setup { files: files.collect(), ..Setup::default() })?;
    let agent = Agent::start("web-1", &controller, &book.policy())?;

    let shown = controller.ask(&["notice", "channels"])?;
    ensure!(shown.contains("day") && shown.contains("night") && !shown.contains("/page"), "{shown}");
    ensure!(controller.ask(&["notice", "test", "day"])?.contains("day has taken the notice"));
    ensure!(day.pages()?.len() == 1 && day.pages()?[0].content["why"] == "test", "{:?}", day.pages()?);
    let said = fails(&controller, &["notice", "test", "evening"], NOT_FOUND)?;
    ensure!(said.contains("no channel \"evening\" here; there are day, night"), "{said}");

    // One fails, the other has it once and is left alone.
    night.refuse(u32::MAX);
    agent.send_event(ORDERED, &[("number", "1")])?;
    let first = wait::until(PATIENCE, "the night to have failed three times", || {
        let row = only(&controller, &["--channel", "night", "--state", "waiting"])?;
        ensure!(row["attempts"].as_u64() >= Some(3), "{row}");
        Ok(row)
    })?;
    ensure!(first["last_error"].as_str().is_some_and(|error| error.ends_with("answered 503")), "{first}");
    ensure!(first["next_try_at"].is_i64() && first["incident"] == "INC-1", "{first}");
    let id = first["id"].as_str().context("it has an id")?;
    let delivered = only(&controller, &["--channel", "day"])?;
    ensure!(delivered["state"] == "delivered" && delivered["id"] == id && delivered["attempts"] == 0, "{delivered}");
    ensure!(times(&day, id)? == 1 && times(&night, id)? == 0, "the day was told {} times", times(&day, id)?);
    ensure!(controller.ask(&["status"])?.contains("notices      1 tried again"), "{}", controller.ask(&["status"])?);

    // Whose channel is gone is given up and stays to be seen; sent again it arrives, under the same id.
    controller.configure("watchkeep.yaml", &settings(&[("day", &day)]))?;
    controller.ask(&["reload"])?;
    let dead = wait::until(PATIENCE, "it to be given up", || only(&controller, &["--state", "dead"]))?;
    ensure!(dead["last_error"].as_str().is_some_and(|error| error.contains("no channel \"night\"")), "{dead}");
    ensure!(controller.ask(&["status"])?.contains("1 given up: watchkeep notice list --state dead"));
    night.refuse(0);
    controller.configure("watchkeep.yaml", &both)?;
    controller.ask(&["reload"])?;
    let sent = controller.ask(&["notice", "resend", id])?;
    ensure!(sent.ends_with("is sent again, to night"), "{sent}");
    wait::until(PATIENCE, "the night to be told", || {
        ensure!(times(&night, id)? == 1, "not yet");
        Ok(())
    })?;
    wait::until(PATIENCE, "that to be noted", || only(&controller, &["--channel", "night", "--state", "delivered"]))?;
    ensure!(times(&day, id)? == 1, "the day was told again");

    // A person is told what makes no sense, and may ask for it all the same.
    let said = fails(&controller, &["notice", "resend", id], REFUSED)?;
    ensure!(said.contains("every channel has taken it"), "{said}");
    controller.ask(&["notice", "resend", id, "--channel", "day"])?;
    wait::until(PATIENCE, "the day to be told again", || {
        ensure!(times(&day, id)? == 2, "not yet");
        Ok(())
    })?;
    let said = fails(&controller, &["notice", "show", &"0".repeat(32)], NOT_FOUND)?;
    ensure!(said.contains("there is no notice 0000"), "{said}");
    let story = controller.ask(&["why", "INC-1"])?;
    for words in ["given up on night", "is sent again, to night", "was delivered to night", "is sent again, to day"] {
        ensure!(story.contains(words), "no {words:?} in\n{story}");
    }
    Ok(())
}

#[test]
fn what_was_owed_to_nobody_goes_to_the_channel_that_is_set_up_later() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let book = Book::new(folder.path())?;
    let mut files = book.configuration();
    files.push(("watchkeep.yaml".to_owned(), settings(&[])));
    files.push(("webhook.secret".to_owned(), SECRET.to_owned()));
    let controller = Controller::start(Setup { files, ..Setup::default() })?;
    let agent = Agent::start("web-1", &controller, &book.policy())?;
    agent.send_event(ORDERED, &[("number", "1")])?;
    let dead = wait::until(PATIENCE, "it to be given up", || only(&controller, &["--state", "dead"]))?;
    ensure!(dead["last_error"].as_str().is_some_and(|error| error.contains("no channel is set up")), "{dead}");
    let id = dead["id"].as_str().context("it has an id")?;
    ensure!(fails(&controller, &["notice", "resend", id], REFUSED)?.contains("no channel is set up"));
    let day = Receiver::start(SECRET)?;
    controller.configure("watchkeep.yaml", &settings(&[("day", &day)]))?;
    controller.ask(&["reload"])?;
    controller.ask(&["notice", "resend", id])?;
    let row = wait::until(PATIENCE, "it to be delivered", || only(&controller, &["--state", "delivered"]))?;
    ensure!(row["channel"] == "day" && times(&day, id)? == 1, "{row}");
    ensure!(list(&controller, &[])?.len() == 1, "nothing else is left of it: {:?}", list(&controller, &[])?);
    Ok(())
}

fn settings(channels: &[(&str, &Receiver)]) -> String {
    let channels = channels.iter().map(|(name, to)| {
        format!("\n  - webhook: {{name: {name}, url: \"{}\", secret_file: webhook.secret}}", to.url())
    });
    let channels: String = channels.collect();
    let channels = if channels.is_empty() { " []".to_owned() } else { channels };
    format!("notify:{channels}\nsettings: {{group_wait: 0, joins_from: 1000000}}\n")
}

fn list(controller: &Controller, only: &[&str]) -> Result<Vec<Value>> {
    let args: Vec<&str> = ["-o", "json", "notice", "list"].into_iter().chain(only.iter().copied()).collect();
    let answer: Value = serde_json::from_str(&controller.ask(&args)?).context("read the list")?;
    let items = answer["items"].as_array().cloned();
    items.with_context(|| format!("no list: {answer}"))
}

/// The one notice that a list with these arguments has.
fn only(controller: &Controller, args: &[&str]) -> Result<Value> {
    let items = list(controller, args)?;
    let [one] = items.as_slice() else { anyhow::bail!("{} notices: {items:?}", items.len()) };
    Ok(one.clone())
}

/// How often a receiver was told under this id.
fn times(receiver: &Receiver, id: &str) -> Result<usize> {
    Ok(receiver.pages()?.iter().filter(|page| page.notice == id).count())
}

/// What a command says that ends with this code.
fn fails(controller: &Controller, args: &[&str], code: i32) -> Result<String> {
    let output = controller.cli(args)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.code() == Some(code), "watchkeep {}: {}: {said}", args.join(" "), output.status);
    Ok(said)
}
