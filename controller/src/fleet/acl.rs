//! Which topics are an agent's own.
//!
//! An agent publishes to its own `up/<kind>` except `will`, subscribes to its own `down/+` or `down/<kind>`, and leaves a
//! will on its own `up/will`. Everything else is refused: this is a list of what is allowed.

use watchkeep_protocol::topic::{Direction, KINDS, Kind, Topic, down_filter};

/// Bytes of a topic that are quoted in a report of what was refused.
const QUOTED_BYTES: usize = 200;

/// The topic, where `agent` may publish to it.
pub fn publish(agent: &str, name: &str) -> Option<Topic> {
    own_up(agent, name).filter(|topic| topic.kind != Kind::Will)
}

/// Whether `agent` may leave its will on `name`.
pub fn will(agent: &str, name: &str) -> bool {
    own_up(agent, name).is_some_and(|topic| topic.kind == Kind::Will)
}

/// Whether `agent` may subscribe to `filter`.
pub fn subscribe(agent: &str, filter: &str) -> bool {
    filter == down_filter(agent)
        || Topic::parse(filter).is_some_and(|topic| topic.agent == agent && topic.kind.direction() == Direction::Down)
}

fn own_up(agent: &str, name: &str) -> Option<Topic> {
    Topic::parse(name).filter(|topic| topic.agent == agent && topic.kind.direction() == Direction::Up)
}

/// The incarnation in a client id `<agent>/<16 hexadecimal digits>`; `None` where it is not one of `agent`.
pub fn incarnation<'a>(agent: &str, client: &'a str) -> Option<&'a str> {
    let digits = client.strip_prefix(agent)?.strip_prefix('/')?;
    let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    (digits.len() == 16 && digits.bytes().all(hex)).then_some(digits)
}

/// A topic or client id from outside, fit for a log line: quoted, escaped and cut.
pub fn quoted(text: &str) -> String {
    let end = text.char_indices().map(|(at, _)| at).take_while(|at| *at <= QUOTED_BYTES).last().unwrap_or(0);
    if text.len() > QUOTED_BYTES {
        format!("{:?} … ({} bytes)", &text[..end], text.len())
    } else {
        format!("{text:?}")
    }
}

/// What may be published, subscribed and willed by `agent`, as topic names: for an external broker's ACL.
pub fn allowed(agent: &str) -> (Vec<String>, Vec<String>, String) {
    let topics = |way| {
        KINDS
            .iter()
            .filter(move |(kind, _, direction)| *direction == way && *kind != Kind::Will)
            .map(|(kind, ..)| Topic::new(agent, *kind).to_string())
    };
    let filters = std::iter::once(down_filter(agent)).chain(topics(Direction::Down)).collect();
    (topics(Direction::Up).collect(), filters, Topic::new(agent, Kind::Will).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_id_is_the_name_and_an_incarnation() {
        assert_eq!(incarnation("web-3", "web-3/00ff00ff00ff00ff"), Some("00ff00ff00ff00ff"));
        for other in
            ["web-3", "web-3/", "web-3/00ff", "web-3/00FF00FF00FF00FF", "web-33/00ff00ff00ff00ff", "/00ff00ff00ff00ff"]
        {
            assert_eq!(incarnation("web-3", other), None, "{other}");
        }
    }

    #[test]
    fn what_is_quoted_is_short_and_has_no_control_characters() {
        assert_eq!(quoted("a/b\n"), r#""a/b\n""#);
        let long = quoted(&"ü".repeat(40_000));
        assert!(long.len() < 300 && long.ends_with("(80000 bytes)"), "{long}");
    }
}
