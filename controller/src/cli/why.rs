//! `watchkeep why`: the story of an incident, a problem or a change, out of the ledger.

use clap::Args;
use serde_json::{Value, json};

use super::Outcome;
use super::client::{Client, ClientError, segment};
use super::incidents::word;
use super::output::{self, Days, Format, age, clock};
use super::screen;

/// Pages of a story that are put together: 500 facts each.
const PAGES_MAX: usize = 40;
/// What was learned so much later than it happened is told with the delay, ms.
const LATE: i64 = 60_000;
/// Clocks of hosts are no closer to ours than this, ms: what lies nearer together keeps the order of the ledger.
const CLOCKS: i64 = 1_000;

/// Tell the whole story of an incident, a problem or a change from the ledger.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  watchkeep why INC-7\n  watchkeep why PRB-2 -o json")]
pub struct Why {
    /// INC-7, PRB-2 or CHG-4
    record: String,
}

impl Why {
    pub async fn run(self, client: &Client, format: Format) -> Outcome {
        let noun = match self.record.to_ascii_uppercase().split('-').next() {
            Some("PRB") => "problems",
            Some("CHG") => "changes",
            _ => "incidents",
        };
        let path = format!("/api/v1/{noun}/{}/why", segment(&self.record));
        let answer = whole(client, &path).await?;
        output::one(format, &answer, |answer| story(answer, screen::width()));
        Ok(())
    }
}

/// All pages of a story as one: the newest comes first from the API, and each says where the one before it is.
async fn whole(client: &Client, path: &str) -> Result<Value, ClientError> {
    let mut answer = client.get(path, &[]).await?;
    for _ in 1..PAGES_MAX {
        let Some(before) = answer["earlier"].as_u64() else { break };
        let page = client.get(path, &[("before", before.to_string())]).await?;
        lead_up(&mut answer, page);
    }
    Ok(answer)
}

/// Puts the page that leads up to `answer` before it.
fn lead_up(answer: &mut Value, page: Value) {
    let lines = |of: &Value| of["lines"].as_array().cloned().unwrap_or_default();
    let count = |of: &Value, what: &str| of[what].as_u64().unwrap_or_default();
    answer["lines"] = lines(&page).into_iter().chain(lines(answer)).collect();
    for what in ["erased", "elsewhere"] {
        answer[what] = json!(count(&page, what) + count(answer, what));
    }
    answer["earlier"] = page["earlier"].clone();
}

/// The record as it stands, then the lines of its story, each with the time of day and how long it was since the record
/// began, and below it why.
fn story(answer: &Value, width: usize) -> String {
    let mut text = head(answer, width);
    text.push_str(&lines(answer, width));
    text.push_str(&left_out(answer));
    text
}

/// The lines of a story alone.
pub(super) fn lines(answer: &Value, width: usize) -> String {
    let lines = in_time(answer["lines"].as_array().map(Vec::as_slice).unwrap_or_default());
    let is_own = |line: &&&Value| word(line, "subject") == own(answer);
    let begin = lines.iter().find(is_own).or(lines.first()).map(|line| happened(line)).unwrap_or_default();
    let mut days = Days::default();
    let mut text = String::new();
    if answer["earlier"].is_u64() {
        text.push_str(&format!("(what came before the last {} facts is left out)\n", lines.len()));
    }
    for line in lines {
        let at = happened(line);
        text.push_str(&days.turn(at));
        let when = format!("  {}  {:<9} ", clock(at), since(at - begin));
        text.push_str(&screen::behind(&when, &told(line, answer), width));
        let reasons = line["because"].as_array().into_iter().flatten().filter_map(Value::as_str);
        for (number, reason) in reasons.enumerate() {
            let because = if number == 0 { "because" } else { "" };
            text.push_str(&screen::behind(&format!("{:>8}{because:<8}", ""), reason, width));
        }
    }
    text
}

/// What the story does not tell, and where that is told.
fn left_out(answer: &Value) -> String {
    let mut text = String::new();
    match answer["erased"].as_u64() {
        None | Some(0) => {}
        Some(erased) => text.push_str(&format!("of {erased} facts only the headers are left; their hashes stand\n")),
    }
    if let (Some(problem), Some(facts @ 1..)) = (answer["problem"].as_str(), answer["elsewhere"].as_u64()) {
        let facts = if facts == 1 { "1 more fact is".to_owned() } else { format!("{facts} more facts are") };
        text.push_str(&format!("{facts} of {problem} and other incidents: watchkeep why {problem}\n"));
    }
    if let Some(after) = answer["after"].as_str() {
        text.push_str(&format!("{after} came before it; its story: watchkeep why {after}\n"));
    }
    text
}

/// Lines by when they happened; of those that lie as near as clocks do, as they stand in the ledger, where a cause comes
/// before what follows from it.
fn in_time(lines: &[Value]) -> Vec<&Value> {
    let mut ordered: Vec<&Value> = Vec::with_capacity(lines.len());
    for line in lines {
        let later = ordered.iter().rev().take_while(|before| happened(before) > happened(line) + CLOCKS).count();
        ordered.insert(ordered.len() - later, line);
    }
    ordered
}

/// Whose story it is. An incident's names its problem too.
fn own(answer: &Value) -> &str {
    ["incident", "problem", "change", "agent"].iter().find_map(|noun| answer[noun].as_str()).unwrap_or_default()
}

/// `INC-7  P2  resolved  nginx.service failed on web-3`
fn head(answer: &Value, width: usize) -> String {
    let id = own(answer);
    match (word(answer, "state"), word(answer, "title")) {
        ("", _) => String::new(),
        (state, title) => {
            let level = answer["priority"].as_u64().map_or_else(String::new, |level| format!("P{level}  "));
            let head = format!("{id}  {level}{}  ", state.replace('_', " "));
            screen::behind(&head, title, width)
        }
    }
}

/// A line without its time: whose it is, where the sentence does not say and it is not the story's own record; what
/// happened; who did it, where the sentence does not begin with that.
fn told(line: &Value, answer: &Value) -> String {
    let (subject, sentence) = (word(line, "subject"), word(line, "sentence"));
    let is_own = subject.is_empty() || subject == own(answer);
    let mut told = if is_own || sentence.starts_with(subject) { String::new() } else { format!("{subject}: ") };
    told.push_str(sentence);
    let actor = word(line, "actor");
    let is_named =
        actor.strip_prefix("by ").is_some_and(|actor| sentence.starts_with(actor) || sentence.ends_with(actor));
    if !actor.is_empty() && !is_named {
        told.push_str(&format!(", {actor}"));
    }
    let delay = line["learned_at"].as_i64().map_or(0, |learned| learned - happened(line));
    if delay >= LATE {
        told.push_str(&format!(" (learned {} later)", age(delay)));
    }
    told
}

fn happened(line: &Value) -> i64 {
    line["happened_at"].as_i64().unwrap_or_default()
}

/// Time since the record began, `+0.0 s`, `+12.4 s`, then in larger units; `-3 min` for what led up to it.
fn since(ms: i64) -> String {
    let (sign, length) = if ms < 0 { ('-', -ms) } else { ('+', ms) };
    match length {
        // Nearer than what is written: no sign can be told.
        0..50 => "+0.0 s".to_owned(),
        50..120_000 => format!("{sign}{:.1} s", length as f64 / 1_000.0),
        _ => format!("{sign}{}", age(length)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-03-02 23:59:30 UTC
    const BEGIN: i64 = 1_772_495_970_000;

    #[test]
    fn why_tells_each_step_with_its_reasons() {
        let answer = json!({
            "incident": "INC-7", "state": "resolved", "priority": 2, "title": "nginx.service failed on web-3",
            "erased": 2, "elsewhere": 37, "problem": "PRB-2", "after": "INC-3", "lines": [
            {"happened_at": BEGIN, "subject": "INC-7", "sentence": "opened as P2: nginx.service failed on web-3", "actor": "by rule UnitFailed",
             "because": ["evidence: event unit_failed: nginx.service failed", "dedupe: no incident of its key is open: a new one"]},
            {"happened_at": BEGIN + 900, "subject": "CHG-2", "sentence": "CHG-2 opened for RUN-4", "actor": "by rule UnitFailed", "because": []},
            {"happened_at": BEGIN + 1_000, "subject": "PRB-2", "sentence": "INC-7 joined", "actor": "", "because": []},
            {"happened_at": BEGIN + 1_250, "subject": "RUN-4", "sentence": "RUN-4 sent step 1 \"Restart it\" to web-3", "actor": "by RUN-4", "because": []},
            {"happened_at": BEGIN + 1_900, "learned_at": BEGIN + 192_000, "subject": "RUN-4", "sentence": "RUN-4 step 1 \"Restart it\" is done after 1 s",
             "actor": "by agent web-3", "because": ["policy: policy.yaml:4 allows service nginx.service restarted"]},
            {"happened_at": BEGIN + 200_000, "subject": "INC-7", "sentence": "resolved as fixed_by_runbook by RUN-4", "actor": "by RUN-4", "because": []},
        ]});
        insta::assert_snapshot!(story(&answer, screen::UNBOUNDED));
        insta::assert_snapshot!("why_on_a_phone", story(&answer, 60));
    }

    #[test]
    fn pages_are_put_together_in_order() {
        let mut answer = json!({"lines": [{"seq": 9}], "erased": 1, "elsewhere": 4, "earlier": 9, "title": "x"});
        lead_up(
            &mut answer,
            json!({"lines": [{"seq": 3}, {"seq": 4}], "erased": 2, "elsewhere": 0, "earlier": 3, "title": "x"}),
        );
        let expected = json!({"lines": [{"seq": 3}, {"seq": 4}, {"seq": 9}], "erased": 3, "elsewhere": 4, "earlier": 3, "title": "x"});
        assert_eq!(answer, expected);
        let told = story(&answer, screen::UNBOUNDED);
        assert!(told.starts_with("(what came before the last 3 facts is left out)"), "{told}");
    }

    #[test]
    fn what_was_learned_late_stands_where_it_happened_and_clocks_that_differ_turn_nothing_round() {
        let line = |seq: u64, at: i64| json!({"seq": seq, "happened_at": BEGIN + at});
        let lines = [line(1, 0), line(2, 5_000), line(3, 4_500), line(4, 2_000), line(5, 90_000)];
        let order: Vec<_> = in_time(&lines).iter().map(|line| line["seq"].as_u64().unwrap_or_default()).collect();
        assert_eq!(order, [1, 4, 2, 3, 5]);
    }

    #[test]
    fn times_before_the_beginning_have_their_sign_and_nothing_is_less_than_no_time() {
        for (ms, expected) in
            [(-30, "+0.0 s"), (0, "+0.0 s"), (-60, "-0.1 s"), (12_400, "+12.4 s"), (-180_000, "-3 min")]
        {
            assert_eq!(since(ms), expected, "{ms} ms");
        }
    }
}
