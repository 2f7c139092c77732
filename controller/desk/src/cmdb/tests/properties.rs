//! What holds for any section whatever.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::fixture::{Bench, difference, item, records, restored, whole};
use crate::Millis;
use crate::cmdb::{Class, as_of};
use crate::input::FoundItem;

/// Items of few classes and keys, so that they meet; with relations among them, some to nothing.
fn items() -> impl Strategy<Value = Vec<FoundItem>> {
    let place = || (prop::sample::select(vec!["service_unit", "process", "software_package"]), 0..6_u8);
    let relation = (prop::sample::select(vec!["uses", "contains", "listens_on"]), place());
    let attribute = (prop::sample::select(vec!["user", "package", "description", "restarts"]), 0..3_u8);
    let one = (place(), prop::collection::vec(attribute, 0..3), prop::collection::vec(relation, 0..3));
    prop::collection::vec(one, 0..10).prop_map(|found| {
        let mut items: BTreeMap<(String, String), FoundItem> = BTreeMap::new();
        for ((class, key), attributes, relations) in found {
            let mut made = item(class, &format!("k{key}"), &[], &[]);
            made.attributes.extend(attributes.into_iter().map(|(name, value)| (name.to_owned(), value.to_string())));
            let words =
                |(kind, (class, key)): (&str, (&str, u8))| (kind.to_owned(), class.to_owned(), format!("k{key}"));
            made.relations.extend(relations.into_iter().map(words));
            items.insert((made.class.clone(), made.key.clone()), made);
        }
        items.into_values().collect()
    })
}

/// A section and its content: what an item is, its own section says; others name it for relations only.
fn told() -> impl Strategy<Value = (&'static str, Vec<FoundItem>)> {
    (section(), items()).prop_map(|(section, items)| (section, told_by(section, items)))
}

fn told_by(section: &str, mut items: Vec<FoundItem>) -> Vec<FoundItem> {
    let owns = |class: &str| Class::parse(class).is_some_and(|class| class.schema().section == Some(section));
    items.iter_mut().filter(|item| !owns(&item.class)).for_each(|item| item.attributes.clear());
    items
}

fn section() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["service", "listener", "package"])
}

/// The difference that leads from one content to another, as an agent sends it.
fn between(section: &str, before: &[FoundItem], after: &[FoundItem]) -> crate::input::Fragment {
    let changed = after.iter().filter(|item| !before.contains(item)).cloned().collect();
    let place = |item: &FoundItem| (item.class.clone(), item.key.clone());
    let gone = before.iter().map(place).filter(|gone| !after.iter().any(|item| place(item) == *gone));
    crate::input::Fragment { gone: gone.collect(), ..difference("web-1", section, changed, &[]) }
}

/// Current relations and what is there, without times: what two ways to the same content must agree on.
fn shape(bench: &Bench) -> Vec<String> {
    let graph = &bench.graph;
    let edge = |r: &crate::cmdb::Relation| {
        format!("{} {} {} by {:?}", graph.describe(r.from), r.kind, graph.describe(r.to), r.claims)
    };
    let mut shape: Vec<String> = graph.relations().filter(|r| r.until.is_none()).map(edge).collect();
    for ci in graph.items() {
        let values: Vec<String> = ci.attributes().map(|(name, held)| format!("{name}={}", held.value)).collect();
        let hashes: Vec<_> =
            ci.more().sections.iter().map(|(section, mark)| (section, &mark.hash, mark.items)).collect();
        let lifecycle = ci.lifecycle.word();
        shape.push(format!("{} {lifecycle} {values:?} {:?} {hashes:?}", graph.describe(ci.id), ci.more().wants));
    }
    shape.sort();
    shape
}

/// The same, of what is there now: who was once there and left does not matter.
fn shape_now(bench: &Bench) -> Vec<String> {
    shape(bench).into_iter().filter(|line| !line.contains(" missing ")).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_section_taken_twice_makes_no_further_fact(
        history in prop::collection::vec(told(), 1..6),
    ) {
        let mut bench = Bench::new();
        for (section, items) in history {
            bench.whole("web-1", section, items.clone());
            let before = shape(&bench);
            let again = bench.fragment(whole("web-1", section, items));
            prop_assert_eq!(again.facts, vec![]);
            prop_assert_eq!(before, shape(&bench));
        }
    }

    #[test]
    fn a_whole_section_is_its_base_and_the_difference(
        others in prop::collection::vec(told(), 0..3),
        name in section(),
        before in items(),
        after in items(),
    ) {
        let (before, after) = (told_by(name, before), told_by(name, after));
        let (mut one, mut other) = (Bench::new(), Bench::new());
        for bench in [&mut one, &mut other] {
            for (section, items) in &others {
                bench.whole("web-1", section, items.clone());
            }
            bench.whole("web-1", name, before.clone());
        }
        one.whole("web-1", name, after.clone());
        other.fragment(between(name, &before, &after));
        prop_assert_eq!(shape(&one), shape(&other));
        prop_assert_eq!(other.fragment(whole("web-1", name, after)).facts, vec![]);
    }

    #[test]
    fn where_it_came_from_does_not_matter(
        detours in prop::collection::vec(told(), 0..4),
        finally in prop::collection::btree_map(section(), items(), 0..4),
    ) {
        let (mut straight, mut winding) = (Bench::new(), Bench::new());
        for (section, items) in &detours {
            winding.whole("web-1", section, items.clone());
        }
        for section in ["service", "listener", "package"] {
            let items = told_by(section, finally.get(section).cloned().unwrap_or_default());
            straight.whole("web-1", section, items.clone());
            winding.whole("web-1", section, items);
        }
        prop_assert_eq!(shape_now(&straight), shape_now(&winding));
    }

    #[test]
    fn the_order_of_items_does_not_matter(items in items(), seed in any::<u64>()) {
        let mut turned = items.clone();
        let len = turned.len().max(1);
        turned.rotate_left(usize::try_from(seed % 64).unwrap_or(0) % len);
        turned.reverse();
        let (mut one, mut other) = (Bench::new(), Bench::new());
        one.whole("web-1", "service", items);
        other.whole("web-1", "service", turned);
        prop_assert_eq!(one.ledger, other.ledger);
        prop_assert_eq!(records(&one.graph), records(&other.graph));
    }

    #[test]
    fn restored_records_are_the_graph_and_go_on_alike(
        history in prop::collection::vec(told(), 0..6),
        next in told(),
    ) {
        let mut bench = Bench::new();
        let mut kept: BTreeMap<(&'static str, String), crate::Record> = BTreeMap::new();
        for (section, items) in history {
            let outcome = bench.fragment(whole("web-1", section, items));
            kept.extend(outcome.changed.into_iter().map(|record| (record.key(), record)));
        }
        // From the tables, as each outcome changed them; and from all records at once.
        let tables = crate::cmdb::Graph::restore(kept.into_values());
        prop_assert_eq!(records(&tables), bench.records());
        let mut again = Bench::new();
        (again.graph, again.now) = (restored(&bench.graph), bench.now);
        prop_assert_eq!(again.records(), bench.records());
        let (live, after) = (bench.fragment(whole("web-1", next.0, next.1.clone())), again.fragment(whole("web-1", next.0, next.1)));
        let bodies = |outcome: &crate::cmdb::Outcome| outcome.facts.iter().map(|fact| fact.reasons.clone()).collect::<Vec<_>>();
        prop_assert_eq!(bodies(&live), bodies(&after));
        prop_assert_eq!(shape(&bench), shape(&again));
    }

    #[test]
    fn the_past_is_a_fold_over_the_ledger(history in prop::collection::vec(told(), 1..6)) {
        let mut bench = Bench::new();
        let mut past = Vec::new();
        for (section, items) in history {
            bench.whole("web-1", section, items);
            past.push((bench.now, state(&bench.graph)));
        }
        for (at, then) in past {
            let told = as_of(bench.ledger.iter().map(|(learned, fact)| (*learned, fact)), Millis(i64::MAX), at);
            prop_assert_eq!(state(&told), then);
        }
    }
}

/// All state, with its times: what facts carry, without the bookkeeping beside it.
fn state(graph: &crate::cmdb::Graph) -> Vec<String> {
    let items = graph.items().map(|ci| {
        let times = (ci.lifecycle, ci.lifecycle_since, ci.first_seen);
        format!("{} {} {:?} {times:?} {:?}", ci.id, ci.name, ci.attributes().collect::<Vec<_>>(), ci.more().merged_into)
    });
    let relations = graph.relations().map(|relation| format!("{relation:?}"));
    items.chain(relations).collect()
}
