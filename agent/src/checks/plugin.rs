//! Monitoring plugins: exit code, text and performance data.
//!
//! Source: the Monitoring Plugins' development guidelines. The first line of the output is the text, up to a bar; behind the
//! bar is performance data, and behind one on a later line more of it.

use std::time::Duration;

use super::perfdata::{Perfdatum, perfdata};
use super::process::run;
use super::{Found, State, Verdict};
use crate::http::in_full;

pub async fn look(argv: &[String], limit: Duration, found: &mut Found) -> Verdict {
    let verdict = match run(argv, limit).await {
        Ok(ended) => {
            let (text, data) = output(&ended.stdout);
            for datum in perfdata(&data) {
                say(&datum, found);
            }
            let text = if text.is_empty() { ended.stderr.trim().to_owned() } else { text };
            match ended.status.code() {
                Some(0) => (State::Ok, text),
                Some(1) => (State::Warning, text),
                Some(2) => (State::Critical, text),
                Some(3) => (State::Unknown, text),
                Some(code) => (State::Unknown, format!("exit code {code}, which no plugin has: {text}")),
                None => (State::Unknown, format!("ended by a signal: {text}")),
            }
        }
        Err(error) => (State::Unknown, in_full(&error)),
    };
    let help = "What the plugin says: 0 ok, 1 warning, 2 critical, 3 unknown.";
    found.gauge("probe_plugin_status", help, &[], f64::from(verdict.0 as u8));
    verdict
}

/// Text and performance data of a plugin's output.
fn output(stdout: &str) -> (String, String) {
    let (mut text, mut data) = (String::new(), String::new());
    let mut in_data = false;
    for (place, line) in stdout.lines().enumerate() {
        let (said, behind) = match line.split_once('|') {
            Some((said, behind)) if !in_data => (said, Some(behind)),
            _ => (line, None),
        };
        if place == 0 {
            text.push_str(said.trim());
            data.push_str(behind.unwrap_or_default());
            continue;
        }
        if in_data {
            data.push_str(&format!(" {line}"));
        } else {
            text.push_str(&format!("\n{}", said.trim_end()));
            data.push_str(&behind.map(|behind| format!(" {behind}")).unwrap_or_default());
            in_data = behind.is_some();
        }
    }
    (text.trim().to_owned(), data)
}

fn say(datum: &Perfdatum, found: &mut Found) {
    let labels = [("label", datum.label.as_str()), ("unit", datum.unit)];
    let kind =
        if datum.is_counter { watchkeep_protocol::MetricKind::Counter } else { watchkeep_protocol::MetricKind::Gauge };
    if let Some(value) = datum.value {
        found.say("probe_perfdata_value", "Performance data of a plugin, in its base unit.", &labels, kind, value);
    }
    let bounds = [("warning", datum.warning), ("critical", datum.critical)];
    for (state, range) in bounds {
        let Some((lower, upper)) = range else { continue };
        for (bound, value) in [("lower", lower), ("upper", upper)].into_iter().filter(|(_, value)| value.is_finite()) {
            let labels = [labels[0], labels[1], ("state", state), ("bound", bound)];
            let help = "Where a plugin's state begins, in the base unit of the value.";
            found.gauge("probe_perfdata_threshold", help, &labels, value);
        }
    }
    for (bound, value) in [("lower", datum.minimum), ("upper", datum.maximum)] {
        if let Some(value) = value {
            let labels = [labels[0], labels[1], ("bound", bound)];
            found.gauge("probe_perfdata_limit", "The least and most that a value can be.", &labels, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_performance_data_stand_where_the_guidelines_say() {
        for (stdout, text, data) in [
            ("OK - fine\n", "OK - fine", ""),
            ("OK - fine | a=1 b=2\n", "OK - fine", " a=1 b=2"),
            (
                "DISK OK | /=2643MB;5948;5958;0;5968\n/ 15272 MB (77%);\n/boot 68 MB | /boot=68MB\n/home=69357MB\n",
                "DISK OK\n/ 15272 MB (77%);\n/boot 68 MB",
                " /=2643MB;5948;5958;0;5968  /boot=68MB /home=69357MB",
            ),
            ("", "", ""),
        ] {
            assert_eq!(output(stdout), (text.to_owned(), data.to_owned()), "{stdout:?}");
        }
    }
}
