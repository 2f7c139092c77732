//! `watchkeep silence …`, through the routes that `amtool` uses.

use chrono::{DateTime, SecondsFormat, Utc};
use clap::Subcommand;
use serde_json::{Value, json};
use watchkeep_rules::duration;
use watchkeep_rules::selector::{MatchOp, Matcher, Selector};

use super::client::{Client, segment};
use super::incidents::word;
use super::output::{self, Format, age, text};
use super::{Failure, Outcome, exit};

const PATH: &str = "/alertmanager/api/v2";

#[derive(Debug, Subcommand)]
pub enum Silences {
    /// Hold back alerts from now on: they open no incident and page nobody until it ends
    #[command(
        after_help = "Example:\n  watchkeep silence add '{instance=\"db-1\", unit=~\"postgres.*\"}' --for 2h --comment 'the disk is swapped'"
    )]
    Add {
        /// Which alerts, by their labels: all matchers must hold
        selector: String,
        /// How long, from its beginning on: 30m, 2h, 1d
        #[arg(long = "for", default_value = "1h")]
        length: String,
        /// When it begins, as 2026-11-24T20:00:00Z; now where it is left out
        #[arg(long)]
        from: Option<String>,
        /// What it is for: others will read it
        #[arg(long)]
        comment: String,
        /// Whose it is; the user of this machine where it is left out
        #[arg(long, env = "USER")]
        author: String,
    },
    /// Silences that hold or will hold, the one that ends first on top
    List {
        /// Those as well that have ended within five days
        #[arg(long)]
        expired: bool,
    },
    /// End a silence now: what it held back and fires still goes its way
    #[command(after_help = "Example:\n  watchkeep silence expire 3f0c9a12-b4de-4f5a-9c1e-2b7d8e6f0a11")]
    Expire {
        /// As "silence list" names it; the beginning suffices where it is one's alone
        silence: String,
    },
}

impl Silences {
    pub async fn run(self, client: &Client, format: Format) -> Outcome {
        match self {
            Self::Add { selector, length, from, comment, author } => {
                let wanted = wanted(&selector, &length, from.as_deref(), Utc::now())?;
                let body = merged(wanted, json!({"createdBy": author, "comment": comment}));
                let answer = client.post(&format!("{PATH}/silences"), &body).await?;
                output::one(format, &answer, |answer| format!("{}\n", word(answer, "silenceID")));
            }
            Self::List { expired } => {
                let found = all(client).await?;
                let shown = found.into_iter().filter(|silence| expired || !is_expired(silence));
                let now = Utc::now();
                let items: Vec<Value> = shown.map(|silence| shown_as(silence, now)).collect();
                let columns = [
                    text("ID", "id"),
                    text("STATE", "status.state"),
                    text("ENDS", "ends"),
                    text("AUTHOR", "createdBy"),
                    text("ALERTS", "selector"),
                    text("COMMENT", "comment"),
                ];
                output::list(
                    format,
                    &json!({"items": items}),
                    &columns,
                    "No silence. \"watchkeep silence add\" sets one.",
                );
            }
            Self::Expire { silence } => {
                let id = meant(&all(client).await?, &silence)?;
                client.delete(&format!("{PATH}/silence/{}", segment(&id))).await?;
                output::one(format, &json!({"silenceID": id}), |_| format!("{id} has ended\n"));
            }
        }
        Ok(())
    }
}

async fn all(client: &Client) -> Result<Vec<Value>, Failure> {
    Ok(client.get(&format!("{PATH}/silences"), &[]).await?.as_array().cloned().unwrap_or_default())
}

fn is_expired(silence: &Value) -> bool {
    silence["status"]["state"] == "expired"
}

/// Matchers and times of a silence as the API takes them.
fn wanted(selector: &str, length: &str, from: Option<&str>, now: DateTime<Utc>) -> Result<Value, Failure> {
    let wrong = |why: String| Failure::new(exit::USAGE, why);
    let matchers = Selector::parse(selector)
        .map_err(|error| wrong(format!("{selector}: {}; write for example {{instance=\"db-1\"}}", error.message)))?;
    let length = duration::parse(length).map_err(|error| wrong(format!("--for: {error}")))?;
    let starts_at = match from {
        None => now,
        Some(text) => DateTime::parse_from_rfc3339(text)
            .map_err(|error| wrong(format!("--from: \"{text}\": {error}; write for example 2026-11-24T20:00:00Z")))?
            .to_utc(),
    };
    let ends_at = DateTime::from_timestamp_millis(starts_at.timestamp_millis().saturating_add(length));
    let ends_at = ends_at.ok_or_else(|| wrong(format!("--for: no calendar goes as far as {length} ms")))?;
    let written = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Millis, true);
    let matchers: Vec<Value> = matchers.matchers.iter().map(matcher).collect();
    Ok(json!({"matchers": matchers, "startsAt": written(starts_at), "endsAt": written(ends_at)}))
}

fn matcher(matcher: &Matcher) -> Value {
    json!({
        "name": matcher.label,
        "value": matcher.value,
        "isRegex": matcher.op.is_pattern(),
        "isEqual": matches!(matcher.op, MatchOp::Equal | MatchOp::Matches),
    })
}

fn merged(mut one: Value, other: Value) -> Value {
    if let (Some(one), Value::Object(other)) = (one.as_object_mut(), other) {
        one.extend(other);
    }
    one
}

/// With the alerts as a selector, and when it ends or ended.
fn shown_as(mut silence: Value, now: DateTime<Utc>) -> Value {
    let of = |matcher: &Value| {
        let op = match (matcher["isEqual"] != false, matcher["isRegex"] == true) {
            (true, false) => "=",
            (false, false) => "!=",
            (true, true) => "=~",
            (false, true) => "!~",
        };
        format!("{}{op}{}", word(matcher, "name"), json!(word(matcher, "value")))
    };
    let matchers: Vec<String> = silence["matchers"].as_array().into_iter().flatten().map(of).collect();
    silence["selector"] = json!(format!("{{{}}}", matchers.join(", ")));
    if let Ok(ends_at) = DateTime::parse_from_rfc3339(word(&silence, "endsAt")) {
        let left = ends_at.timestamp_millis() - now.timestamp_millis();
        silence["ends"] = json!(if left > 0 { format!("in {}", age(left)) } else { format!("{} ago", age(-left)) });
    }
    silence
}

/// The id of the one silence that holds or will hold and begins so.
fn meant(silences: &[Value], begins: &str) -> Result<String, Failure> {
    let ids = silences.iter().filter(|silence| !is_expired(silence)).map(|silence| word(silence, "id"));
    let found: Vec<&str> = ids.filter(|id| !begins.is_empty() && id.starts_with(begins)).collect();
    match found.as_slice() {
        [one] => Ok((*one).to_owned()),
        [] => {
            let said = format!("no silence that holds begins with \"{begins}\"; \"watchkeep silence list\" shows them");
            Err(Failure::new(exit::NOT_FOUND, said))
        }
        many => {
            let said = format!("{} silences begin with \"{begins}\": {}", many.len(), many.join(", "));
            Err(Failure::new(exit::USAGE, said))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp_millis(1_795_464_000_000).expect("an instant")
    }

    #[test]
    fn a_silence_is_asked_for_as_the_api_takes_it_and_shown_as_it_was_written() {
        let selector = "{instance=\"db-1\", unit=~\"a|b\", team!=\"ops\", site!~\"x.*\"}";
        let asked = wanted(selector, "2h", None, now()).expect("it is good");
        assert_eq!(
            (&asked["startsAt"], &asked["endsAt"]),
            (&json!("2026-11-23T20:00:00.000Z"), &json!("2026-11-23T22:00:00.000Z"))
        );
        let shown = shown_as(asked, now());
        assert_eq!((word(&shown, "selector"), word(&shown, "ends")), (selector, "in 2 h 0 min"));
        let later = wanted("{a=\"b\"}", "30m", Some("2026-11-24T21:00:00+01:00"), now()).expect("it is good");
        assert_eq!(
            (&later["startsAt"], &later["endsAt"]),
            (&json!("2026-11-24T20:00:00.000Z"), &json!("2026-11-24T20:30:00.000Z"))
        );
    }

    #[test]
    fn what_makes_no_sense_is_told_with_an_example() {
        for (selector, length, from, says) in [
            ("instance=db-1", "1h", None, "write for example {instance=\"db-1\"}"),
            ("{a=\"b\"}", "1", None, "--for: "),
            ("{a=\"b\"}", "1h", Some("tomorrow"), "write for example 2026-11-24T20:00:00Z"),
        ] {
            let failure = wanted(selector, length, from, now()).expect_err(says);
            assert!(failure.code == exit::USAGE && failure.message.contains(says), "{failure:?}");
        }
    }

    #[test]
    fn a_silence_is_meant_by_how_its_id_begins() {
        let silence = |id: &str, state: &str| json!({"id": id, "status": {"state": state}});
        let all = [silence("ab1", "active"), silence("ab2", "pending"), silence("c", "expired")];
        assert_eq!(meant(&all, "ab2").expect("it is one"), "ab2");
        for (begins, code) in [("ab", exit::USAGE), ("c", exit::NOT_FOUND), ("", exit::NOT_FOUND)] {
            assert_eq!(meant(&all, begins).expect_err(begins).code, code);
        }
    }
}
