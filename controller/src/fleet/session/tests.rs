//! Stories of one agent, told to [`Presence`] line by line.

use std::net::SocketAddr;

use watchkeep_protocol::Span;

use super::*;

/// What an agent reports every so often.
const INTERVAL: i64 = 15_000;

/// A presence and the clock around it.
struct Story {
    presence: Presence,
    now: i64,
    events: Vec<String>,
    kicked: Vec<String>,
}

fn session(process: u8) -> [u8; 16] {
    [process; 16]
}

fn client(process: u8) -> String {
    format!("web-3/{}", format!("{process:02x}").repeat(8))
}

fn peer(process: u8, port: u16) -> Peer {
    Peer {
        agent: "web-3".to_owned(),
        serial: "serial-1".to_owned(),
        incarnation: client(process)["web-3/".len()..].to_owned(),
        client: client(process),
        remote: Some(SocketAddr::from(([192, 0, 2, 7], port))),
    }
}

/// As of a host where nothing may be done.
fn without_nonce(clock_ms: i64) -> Hello {
    Hello { command_nonce: Vec::new(), ..hello(clock_ms, 0) }
}

fn hello(clock_ms: i64, nonce: u8) -> Hello {
    let none = Span { first: 1, next: 1 };
    Hello {
        spool: vec![3; 16],
        matters: none,
        samples: none,
        clock_ms,
        interval_ms: INTERVAL as u32,
        version: "0.1.0".to_owned(),
        command_nonce: vec![nonce; 16],
        ..Hello::default()
    }
}

impl Story {
    fn new() -> Self {
        Self { presence: Presence::default(), now: 1_000_000, events: Vec::new(), kicked: Vec::new() }
    }

    fn expecting(process: u8) -> Self {
        let mut story = Self::new();
        let session: String = format!("{process:02x}").repeat(16);
        story.presence = Presence::expected(&session, Millis(story.now));
        story
    }

    fn hear(&mut self, heard: Heard<'_>) -> bool {
        let outcome = self.presence.hear(heard, Millis(self.now));
        self.kicked.extend(outcome.kicks.into_iter().map(|kick| kick.client));
        self.events.extend(outcome.events.into_iter().map(|event| match event {
            AgentEvent::Connected { session, .. } => format!("connected {}", &session[..2]),
            AgentEvent::Lost { session, reason } => format!("lost {}: {reason}", &session[..2]),
            AgentEvent::Suspicious { detail } => format!("suspicious: {detail}"),
            other => format!("{other:?}"),
        }));
        outcome.taken
    }

    /// Milliseconds pass, with a tick every 200 of them, as the shell does.
    fn wait(&mut self, length: i64) {
        let end = self.now + length;
        while self.now < end {
            self.now = end.min(self.now + 200);
            self.hear(Heard::Tick { behind: false });
        }
    }

    fn connects(&mut self, process: u8, port: u16) {
        self.hear(Heard::Connected(&peer(process, port)));
    }

    fn gone(&mut self, process: u8, port: u16, how: &Gone) {
        self.hear(Heard::Gone { peer: &peer(process, port), how });
    }

    fn says_hello(&mut self, process: u8) -> bool {
        let hello = hello(self.now, process);
        self.hear(Heard::Hello { client: Some(&client(process)), session: session(process), hello: &hello })
    }

    fn reports(&mut self, process: u8) -> bool {
        self.hear(Heard::Message { client: Some(&client(process)), session: session(process) })
    }

    /// It reports for a while, every interval.
    fn reports_for(&mut self, process: u8, length: i64) {
        for _ in 0..length / INTERVAL {
            self.wait(INTERVAL);
            self.reports(process);
        }
    }

    fn begins(&mut self, process: u8, port: u16) {
        self.connects(process, port);
        assert!(self.says_hello(process));
    }

    #[track_caller]
    fn tells(&mut self, expected: &[&str]) {
        assert_eq!(std::mem::take(&mut self.events), expected, "at {}", self.now);
    }
}

#[test]
fn an_agent_that_reports_is_there_and_one_that_says_goodbye_is_not() {
    let mut story = Story::new();
    story.begins(1, 1);
    story.reports_for(1, 600_000);
    story.tells(&["connected 01"]);
    assert!(story.presence.live().is_some());
    story.gone(1, 1, &Gone::Goodbye);
    story.tells(&["lost 01: goodbye"]);
    assert!(story.presence.live().is_none());
    story.wait(600_000);
    story.tells(&[]);
}

#[test]
fn a_killed_agent_is_down_after_five_seconds_and_a_will_says_it_once_only() {
    let mut story = Story::new();
    story.begins(1, 1);
    story.gone(1, 1, &Gone::Closed);
    story.wait(4_800);
    story.tells(&["connected 01"]);
    story.wait(400);
    story.tells(&["lost 01: agent_down"]);
    story.hear(Heard::Will { session: session(1) });
    story.tells(&[]);
}

#[test]
fn an_agent_that_comes_back_in_time_was_never_lost() {
    let mut story = Story::new();
    story.begins(1, 1);
    story.gone(1, 1, &Gone::Closed);
    story.wait(3_000);
    story.connects(1, 2);
    story.wait(10_000);
    story.tells(&["connected 01"]);
}

#[test]
fn a_restarted_agent_begins_a_new_session_without_being_lost() {
    let mut story = Story::new();
    story.begins(1, 1);
    story.gone(1, 1, &Gone::Closed);
    story.wait(1_000);
    story.begins(2, 2);
    // What the old process had sent is read late, and is nobody's word any more; its will is none either.
    assert!(!story.reports(1));
    story.hear(Heard::Will { session: session(1) });
    story.reports_for(2, 120_000);
    story.tells(&["connected 01", "connected 02"]);
    assert_eq!(story.presence.live().map(|live| live.session), Some(session(2)));
}

#[test]
fn a_will_counts_for_the_newest_session_alone_and_not_while_it_is_connected() {
    let mut story = Story::new();
    story.begins(1, 1);
    // The same process takes over with a clean start: the broker sends the will of the connection before.
    story.connects(1, 2);
    story.gone(1, 1, &Gone::TakenOver);
    story.hear(Heard::Will { session: session(1) });
    story.tells(&["connected 01"]);
    story.hear(Heard::Will { session: session(9) });
    story.tells(&[]);
    // Through a foreign broker nothing else tells of it.
    let mut foreign = Story::new();
    let greeting = hello(foreign.now, 1);
    assert!(foreign.hear(Heard::Hello { client: None, session: session(1), hello: &greeting }));
    foreign.hear(Heard::Will { session: session(1) });
    foreign.tells(&["connected 01", "lost 01: agent_down"]);
}

#[test]
fn silence_is_three_missed_intervals_and_the_connection_tells_the_reason() {
    for (cut, reason) in [(false, "lost 01: agent_down"), (true, "lost 01: link_down")] {
        let mut story = Story::new();
        story.begins(1, 1);
        story.tells(&["connected 01"]);
        if cut {
            story.gone(1, 1, &Gone::KeepAlive);
            story.wait(5_000);
        } else {
            story.wait(3 * INTERVAL - 200);
            story.tells(&[]);
            story.wait(200);
        }
        story.tells(&[reason]);
        // One report, and it is there again.
        story.reports(1);
        story.tells(&["connected 01"]);
        assert!(story.presence.live().is_some());
    }
}

#[test]
fn next_due_names_the_instant_at_which_something_happens() {
    let mut story = Story::new();
    story.begins(1, 1);
    assert_eq!(story.presence.next_due(), Some(Millis(story.now + 3 * INTERVAL)));
    story.gone(1, 1, &Gone::Closed);
    let due = story.presence.next_due().expect("something is due");
    assert_eq!(due, Millis(story.now + 5_000));
    story.now = due.0;
    story.hear(Heard::Tick { behind: false });
    story.tells(&["connected 01", "lost 01: agent_down"]);
    assert_eq!(story.presence.next_due(), None);
}

#[test]
fn nobody_is_judged_while_the_controller_is_behind_or_has_just_started() {
    let mut story = Story::new();
    story.begins(1, 1);
    story.tells(&["connected 01"]);
    for _ in 0..100 {
        story.now += 10_000;
        story.hear(Heard::Tick { behind: true });
    }
    story.tells(&[]);
    story.wait(3 * INTERVAL - 200);
    story.tells(&[]);
    story.wait(200);
    story.tells(&["lost 01: agent_down"]);

    let mut restarted = Story::expecting(1);
    restarted.wait(59_000);
    restarted.tells(&[]);
    restarted.begins(1, 1);
    restarted.reports_for(1, 120_000);
    restarted.tells(&[]);

    let mut forsaken = Story::expecting(1);
    forsaken.wait(61_000);
    forsaken.tells(&["lost 01: link_down"]);
}

#[test]
fn two_live_sessions_are_both_quarantined_until_one_is_enrolled_again() {
    let mut story = Story::new();
    story.begins(1, 1);
    story.reports_for(1, 60_000);
    story.begins(2, 2);
    story.tells(&["connected 01", "connected 02"]);
    story.wait(INTERVAL);
    assert!(story.reports(2));
    assert!(!story.reports(1), "the one that was there before still speaks");
    assert!(story.presence.is_quarantined() && story.presence.live().is_none());
    assert_eq!(story.events.len(), 2);
    assert!(story.events[0].starts_with("suspicious: two live sessions of one name: 0202020202020202 began last"));
    assert_eq!(story.events.pop().as_deref(), Some("lost 02: quarantined"));
    assert_eq!(story.kicked, [client(2), client(1)]);
    story.events.clear();

    // Neither is listened to, whatever it tries.
    assert!(!story.reports(2) && !story.says_hello(1));
    story.connects(1, 3);
    assert_eq!(story.kicked.pop(), Some(client(1)));
    story.wait(600_000);
    story.tells(&[]);

    // Enrolled again, it has another certificate.
    let mut again = peer(4, 4);
    again.serial = "serial-2".to_owned();
    story.hear(Heard::Connected(&again));
    assert!(story.says_hello(4));
    story.tells(&["connected 04"]);
}

#[test]
fn clones_whose_connections_nobody_told_of_are_told_from_the_host_that_is_enrolled_again() {
    // Everything was read back from the store while both were connected.
    let mut story = Story::expecting(1);
    story.presence = std::mem::take(&mut story.presence).holding("serial-1".to_owned());
    story.says_hello(1);
    story.says_hello(2);
    story.wait(12_000);
    story.reports(1);
    assert!(story.presence.is_quarantined());
    let mut again = peer(4, 4);
    again.serial = "serial-2".to_owned();
    story.hear(Heard::Connected(&again));
    assert!(story.says_hello(4) && !story.presence.is_quarantined());
}

#[test]
fn a_clone_that_connects_again_is_caught_too() {
    let mut story = Story::new();
    story.begins(1, 1);
    story.gone(1, 1, &Gone::KeepAlive);
    story.begins(2, 2);
    story.wait(12_000);
    story.reports(2);
    story.connects(1, 3);
    assert!(story.presence.is_quarantined());
    assert_eq!(story.kicked, [client(2), client(1)]);
}

#[test]
fn an_agent_that_restarts_many_times_is_no_clone() {
    let mut story = Story::new();
    for process in 1..=100 {
        story.begins(process, u16::from(process));
        story.reports_for(process, 30_000);
        story.gone(process, u16::from(process), if process % 2 == 0 { &Gone::Goodbye } else { &Gone::Closed });
        story.wait(2_000);
    }
    assert!(!story.presence.is_quarantined());
    assert!(!story.events.iter().any(|event| event.starts_with("suspicious")), "{:?}", story.events);
}

#[test]
fn the_clock_offset_and_the_instant_of_the_nonce_are_fixed_for_the_session() {
    let mut story = Story::new();
    story.connects(1, 1);
    let says = |story: &mut Story, behind: i64, nonce: u8| {
        let hello = hello(story.now - behind, nonce);
        story.hear(Heard::Hello { client: Some(&client(1)), session: session(1), hello: &hello });
        story.presence.live().cloned().expect("it is there")
    };
    let begun = Millis(story.now);
    let first = says(&mut story, 7_000, 1);
    assert_eq!((first.offset_ms, first.nonce_at), (7_000, begun));
    story.wait(10_000);
    let second = says(&mut story, 9_000, 1);
    assert_eq!((second.offset_ms, second.nonce_at), (7_000, begun));
    // Another nonce counts from when it was heard of.
    let third = says(&mut story, 9_000, 5);
    assert_eq!((third.offset_ms, third.nonce_at), (7_000, Millis(story.now)));
}

#[test]
fn a_message_of_another_session_than_its_connections_is_refused_and_told() {
    let mut story = Story::new();
    story.begins(1, 1);
    story.events.clear();
    let taken = story.hear(Heard::Message { client: Some(&client(1)), session: session(2) });
    assert!(!taken);
    assert!(story.events[0].contains("which is another process"), "{:?}", story.events);
    assert_eq!(story.presence.live().map(|live| live.session), Some(session(1)));
}

#[test]
fn suspicions_are_told_at_once_and_then_counted() {
    // No session of its own: whoever knocks has its certificate and nothing else.
    let mut story = Story::new();
    let refused = |kind, detail: &str| Suspicion { agent: "web-3".to_owned(), kind, detail: detail.to_owned() };
    for _ in 0..500 {
        story.hear(Heard::Suspicious(&refused("publish", "publish to \"x\"")));
        story.hear(Heard::Suspicious(&refused("subscribe", "subscribe to \"#\"")));
    }
    story.tells(&["suspicious: publish to \"x\"", "suspicious: subscribe to \"#\""]);
    story.now += 60_000;
    assert_eq!(story.presence.next_due(), Some(Millis(story.now)), "what was counted is told without another");
    story.hear(Heard::Suspicious(&refused("publish", "publish to \"y\"")));
    story.tells(&["suspicious: publish to \"y\" (499 more of the kind before it)"]);
    story.hear(Heard::Tick { behind: true });
    story.tells(&["suspicious: subscribe to \"#\" (498 more of the kind before it)"]);
    story.wait(10 * 60_000);
    story.tells(&[]);
}

/// Through a foreign broker: no connection, and no client that anybody vouches for but the seal.
fn sealed_peer(process: u8) -> Peer {
    Peer { remote: None, ..peer(process, 0) }
}

#[test]
fn a_hint_that_a_session_is_gone_decides_nothing_while_it_speaks() {
    let mut story = Story::new();
    story.hear(Heard::Connected(&sealed_peer(1)));
    assert!(story.says_hello(1));
    story.tells(&["connected 01"]);
    for _ in 0..50 {
        story.hear(Heard::Hint { session: session(1) });
        story.hear(Heard::Hint { session: session(2) });
        story.wait(INTERVAL);
        story.reports(1);
    }
    story.tells(&[]);
    // Silent and hinted at, it is lost sooner than by silence alone, and for silence's reason.
    story.hear(Heard::Hint { session: session(1) });
    story.wait(INTERVAL + 4_800);
    story.tells(&[]);
    story.wait(400);
    story.tells(&["lost 01: link_down"]);
}

#[test]
fn a_hint_waits_while_no_broker_is_heard() {
    let mut story = Story::new();
    story.hear(Heard::Connected(&sealed_peer(1)));
    story.says_hello(1);
    story.hear(Heard::Hint { session: session(1) });
    for _ in 0..100 {
        story.now += 1_000;
        story.hear(Heard::Tick { behind: true });
    }
    story.tells(&["connected 01"]);
    story.wait(2 * INTERVAL);
    story.tells(&[]);
    story.wait(2 * INTERVAL);
    story.tells(&["lost 01: link_down"]);
}

#[test]
fn a_goodbye_under_the_seal_ends_that_session_and_no_later_one() {
    let mut story = Story::new();
    story.hear(Heard::Connected(&sealed_peer(1)));
    story.says_hello(1);
    story.hear(Heard::Connected(&sealed_peer(2)));
    story.says_hello(2);
    story.tells(&["connected 01", "connected 02"]);
    story.hear(Heard::Gone { peer: &sealed_peer(1), how: &Gone::Goodbye });
    story.tells(&[]);
    story.hear(Heard::Gone { peer: &sealed_peer(2), how: &Gone::Goodbye });
    story.tells(&["lost 02: goodbye"]);
}

#[test]
fn a_host_where_nobody_carries_out_commands_is_told_of_once_it_is_sure() {
    let mut story = Story::new();
    let greets = |story: &mut Story, hello: Hello| {
        story.hear(Heard::Hello { client: Some(&client(1)), session: session(1), hello: &hello });
    };
    story.connects(1, 1);
    let now = story.now;
    greets(&mut story, without_nonce(now));
    story.wait(4_800);
    story.tells(&["connected 01"]);
    greets(&mut story, hello(now, 1));
    story.wait(8_000);
    story.tells(&[]);
    // Each hello but the one that the nonce was drawn for is without it.
    greets(&mut story, without_nonce(now));
    story.wait(4_800);
    greets(&mut story, without_nonce(now));
    story.wait(400);
    story.tells(&["Acts { able: false }"]);
    story.reports_for(1, 60_000);
    story.tells(&[]);
    greets(&mut story, hello(now, 1));
    story.tells(&["Acts { able: true }"]);
}

#[test]
fn what_the_desk_knows_of_a_host_s_commands_is_not_told_again_after_a_start() {
    let mut story = Story::expecting(1);
    story.presence = std::mem::take(&mut story.presence).acting(false);
    let now = story.now;
    story.connects(1, 1);
    let idle = without_nonce(now);
    story.hear(Heard::Hello { client: Some(&client(1)), session: session(1), hello: &idle });
    story.wait(10_000);
    story.tells(&[]);
    assert!(story.says_hello(1));
    story.tells(&["Acts { able: true }"]);
}
