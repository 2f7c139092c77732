//! What holds for any input: nothing panics, faults point into their file, and what is written reads back.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use proptest::prelude::*;
use watchkeep_rules::duration;
use watchkeep_rules::events::{Event, EventEngine, EventRules, What};
use watchkeep_rules::load::{self, load};
use watchkeep_rules::model::Condition;
use watchkeep_rules::packs;
use watchkeep_rules::selector::{Compiled, MatchOp, Matcher, Selector};
use watchkeep_rules::template;
use watchkeep_rules::test;

/// Texts that load, as a beginning for what does not.
fn good() -> Vec<String> {
    let packs = packs::shipped().iter().flat_map(|pack| pack.files.iter().chain(pack.tests));
    let mut texts: Vec<String> = packs.map(|(_, text)| (*text).to_owned()).collect();
    for name in ["linux", "prometheus", "restart-service"] {
        let path = format!("{}/tests/good/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
        texts.push(std::fs::read_to_string(path).expect("a good file is there"));
    }
    texts
}

/// One slip of the pen: characters taken out, put in, or lines moved.
#[derive(Clone, Debug)]
enum Slip {
    Remove(usize, usize),
    Insert(usize, String),
    RepeatLine(usize),
    Indent(usize),
}

fn slip() -> impl Strategy<Value = Slip> {
    let piece = prop_oneof![
        Just("{{".to_owned()),
        Just("}}".to_owned()),
        Just("'".to_owned()),
        Just("\"".to_owned()),
        Just(": ".to_owned()),
        Just("\n".to_owned()),
        Just("- ".to_owned()),
        Just("[".to_owned()),
        Just("&a ".to_owned()),
        Just("*a ".to_owned()),
        Just("|\n  ".to_owned()),
        Just("null".to_owned()),
        Just("$".to_owned()),
        "\\PC{1,6}",
    ];
    prop_oneof![
        (any::<usize>(), 1..12usize).prop_map(|(at, length)| Slip::Remove(at, length)),
        (any::<usize>(), piece).prop_map(|(at, text)| Slip::Insert(at, text)),
        any::<usize>().prop_map(Slip::RepeatLine),
        any::<usize>().prop_map(Slip::Indent),
    ]
}

fn slipped(text: &str, slips: &[Slip]) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for slip in slips {
        let length = chars.len().max(1);
        match slip {
            Slip::Remove(at, count) => {
                let at = at % length;
                chars.drain(at.min(chars.len())..(at + count).min(chars.len()));
            }
            Slip::Insert(at, text) => {
                let at = (at % length).min(chars.len());
                chars.splice(at..at, text.chars());
            }
            Slip::RepeatLine(at) | Slip::Indent(at) => {
                let text: String = chars.iter().collect();
                let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
                let place = at % lines.len().max(1);
                if let Some(line) = lines.get(place).cloned() {
                    match slip {
                        Slip::Indent(_) => lines[place] = format!("  {line}"),
                        _ => lines.insert(place, line),
                    }
                }
                chars = lines.join("\n").chars().collect();
            }
        }
    }
    chars.into_iter().collect()
}

/// Loads, and checks that every fault stands where the file has something.
fn check_load(text: &str) {
    let file = (PathBuf::from("any.yaml"), text.to_owned());
    let Err(faults) = load(&[file]) else { return };
    assert!(!faults.is_empty());
    for fault in &faults.faults {
        assert!(!fault.message.is_empty(), "{fault:?}");
        let line = text.split('\n').nth(fault.line - 1);
        let line = line.unwrap_or_else(|| panic!("{fault:?} beyond the file")).trim_end_matches('\r');
        assert_eq!(fault.source, line, "{fault:?}");
        assert!(fault.column <= line.chars().count() + 2, "{fault:?}");
        let shown = fault.to_string();
        assert!(shown.lines().count() >= 4, "{shown}");
    }
}

fn matcher() -> impl Strategy<Value = Matcher> {
    let label = prop_oneof!["[a-zA-Z_][a-zA-Z0-9_]{0,8}", "\\PC{1,8}"];
    let plain = (label.clone(), any::<bool>(), "\\PC{0,12}|[\\x00-\\x7f]{0,8}").prop_map(|(label, negated, value)| {
        let op = if negated { MatchOp::NotEqual } else { MatchOp::Equal };
        Matcher { label, op, value }
    });
    let pattern = (label, any::<bool>(), "[a-z.*+|]{1,8}|\\\\[dws][a-z]").prop_map(|(label, negated, value)| {
        let op = if negated { MatchOp::NotMatches } else { MatchOp::Matches };
        Matcher { label, op, value }
    });
    prop_oneof![plain, pattern]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn no_text_makes_the_loader_panic(text in "\\PC{0,200}|[\\x00-\\x7f]{0,200}") {
        check_load(&text);
        check_load(&format!("groups:\n  - {text}"));
        let _ = test::run_file("any.yaml", &text, &Default::default(), None);
        let _ = load::pack_uses("any.yaml".as_ref(), &text);
    }

    #[test]
    fn slips_of_the_pen_are_told_where_they_are(
        place in any::<prop::sample::Index>(),
        slips in prop::collection::vec(slip(), 1..6),
    ) {
        let good = good();
        let chosen: &String = place.get(&good);
        let text = slipped(chosen, &slips);
        check_load(&text);
        let _ = test::run_file("any.yaml", &text, &Default::default(), None);
    }

    #[test]
    fn a_selector_that_is_written_reads_back(matchers in prop::collection::vec(matcher(), 0..5)) {
        let selector = Selector { matchers };
        match Compiled::new(&selector) {
            Ok(_) => prop_assert_eq!(Selector::parse(&selector.to_string()), Ok(selector)),
            Err(_) => prop_assert!(Selector::parse(&selector.to_string()).is_err()),
        }
    }

    #[test]
    fn no_text_makes_a_parser_panic(text in "[{}()\\[\\]=~!\"'`$<>a-z0-9 .,|:\\\\-]{0,40}|\\PC{0,40}") {
        for error in [Selector::parse(&text).err(), Condition::parse(&text).err()].into_iter().flatten() {
            prop_assert!(error.at <= text.len() && text.is_char_boundary(error.at), "{:?}", error);
        }
        let _ = duration::parse(&text);
        let labels = BTreeMap::from([("a".to_owned(), text.clone())]);
        for written in [text.clone(), format!("{{{{{text}}}}}"), "{{ $labels.a | reReplaceAll \"a\" \"$1\" | title }}".to_owned()] {
            if let Err(error) = template::render(&written, &labels, 1.5) {
                prop_assert!(error.at <= written.len() && written.is_char_boundary(error.at), "{:?} in {}", error, written);
            }
        }
    }

    #[test]
    fn a_duration_that_is_written_reads_back(ms in 0..i64::from(u32::MAX) * 1000) {
        prop_assert_eq!(duration::parse(&duration::format(ms)), Ok(ms));
    }

    /// Whatever arrives in whatever order: an alert fires before it resolves, a stored host goes on as if never stored,
    /// and a tick at `next_due` does something.
    #[test]
    fn the_event_engine_keeps_its_word(steps in prop::collection::vec((0..60_000i64, 0..4u8, 0..3u8), 1..40)) {
        let text = "groups:\n  - name: g\n    rules:\n      - {event: One, match: '{kind=\"a\"}', by: [unit], clear: '{kind=\"b\"}', clear_after: 10s}\n      - {event: Two, match: '{kind=\"a\"}', by: [unit], count: 2, within: 5s, clear: '{kind=\"b\"}'}\n";
        let book = load(&[("g.yaml".into(), text.to_owned())]).expect("good rules");
        let rules = Arc::new(EventRules::new(&book.event_rules).expect("they compile"));
        let mut engine = EventEngine::new("host", Arc::clone(&rules));
        let mut stored = engine.clone();
        let mut open: BTreeMap<BTreeMap<String, String>, ()> = BTreeMap::new();
        for (at, kind, unit) in steps {
            let labels = BTreeMap::from([
                ("kind".to_owned(), if kind == 0 { "b" } else { "a" }.to_owned()),
                ("unit".to_owned(), unit.to_string()),
            ]);
            let event = Event { labels: &labels, text: "", at };
            let mut found = engine.event(&event);
            prop_assert_eq!(&stored.event(&event), &found);
            let state = serde_json::from_str(&serde_json::to_string(engine.state()).expect("plain")).expect("reads back");
            stored = EventEngine::restore(Some("host".to_owned()), Arc::clone(&rules), state);
            if let Some(due) = engine.next_due() {
                let mut ahead = engine.clone();
                prop_assert!(!ahead.tick(due).is_empty());
                prop_assert!(engine.clone().tick(due - 1).is_empty());
            }
            found.sort_by_key(|transition| transition.what == What::Firing);
            for transition in found {
                match transition.what {
                    What::Firing => prop_assert!(open.insert(transition.labels, ()).is_none()),
                    What::FiringAgain => prop_assert!(open.contains_key(&transition.labels)),
                    What::Resolved => prop_assert!(open.remove(&transition.labels).is_some()),
                    What::Stale => prop_assert!(false, "events do not go missing"),
                }
            }
        }
        prop_assert_eq!(engine.state().firing().count(), open.len());
    }
}
