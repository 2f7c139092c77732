//! A host's series against a model that keeps every point by its labels, over random layouts, reports and cuts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use watchkeep_protocol::layout::{Block, Flag, Row};
use watchkeep_protocol::{Layout, Report};
use watchkeep_rules::promql::labels::Labels;
use watchkeep_rules::promql::series::{STALE, Samples};
use watchkeep_rules::selector::{MatchOp, Matcher, Selector};

use super::tests::block;
use super::{HeldLayout, HostSeries, Templates};

#[derive(Clone, Debug)]
enum Step {
    /// A report at an instant, of a layout: for each template its instances (none: no such block), and the seed of which
    /// blocks are due, their values and flags.
    Report {
        at: i64,
        layout: [Option<u8>; 2],
        seed: u64,
    },
    Write {
        series: u8,
        at: i64,
        value: f64,
    },
    Cut,
}

fn step() -> impl Strategy<Value = Step> {
    let layout = proptest::array::uniform2(proptest::option::weighted(0.9, 0u8..16));
    prop_oneof![
        6 => (0i64..60, layout, any::<u64>()).prop_map(|(at, layout, seed)| Step::Report { at, layout, seed }),
        2 => (0u8..3, 0i64..60, -4i32..4).prop_map(|(series, at, value)| Step::Write { series, at, value: value.into() }),
        1 => Just(Step::Cut),
    ]
}

const METRICS: [&[&str]; 2] = [&["a_total", "b"], &["b", "c"]];
const INSTANCES: [&str; 4] = ["x", "y", "z", "w"];

fn blocks(layout: &[Option<u8>; 2]) -> Vec<(usize, Block)> {
    let held = |mask: u8| (0..4).filter(move |bit| mask >> bit & 1 == 1).map(|bit| INSTANCES[bit as usize]);
    let of = |(place, mask): (usize, &Option<u8>)| {
        let instances: Vec<&str> = held((*mask)?).collect();
        Some((place, block(&format!("collector {place}"), &format!("label_{place}"), METRICS[place], &instances)))
    };
    layout.iter().enumerate().filter_map(of).collect()
}

/// Values and flags that a seed stands for.
fn row(block: &Block, place: u32, seed: u64) -> Option<Row> {
    let mut state = seed.wrapping_add(u64::from(place)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut draw = |most: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % most
    };
    if draw(5) == 0 {
        return None;
    }
    let count = block.instances.len() * block.template.metrics.len();
    let values = (0..count).map(|_| draw(1_000) as f64 / 8.0).collect();
    let flagged = draw(3) == 0;
    let flags = if flagged { (0..count).map(|_| draw(3) as u8).collect() } else { Vec::new() };
    Some(Row { block: place, values, flags })
}

type Points = BTreeMap<Labels, BTreeMap<i64, u64>>;

/// One template's part of the model.
#[derive(Default)]
struct Table {
    instants: BTreeSet<i64>,
    newest_at: Option<i64>,
    /// What the newest row held of each instance and metric; `None` is a gap.
    newest: BTreeMap<(String, usize), Option<u64>>,
    live: BTreeSet<String>,
    /// Live since after the newest row: they have nothing to end.
    fresh: BTreeSet<String>,
    going: BTreeSet<String>,
}

#[derive(Default)]
struct Model {
    tables: [Table; 2],
    newest_at: Option<i64>,
    layout: Option<[Option<u8>; 2]>,
    points: Points,
}

impl Model {
    fn put(&mut self, labels: Labels, at: i64, bits: u64) {
        self.points.entry(labels).or_default().entry(at).or_insert(bits);
    }

    fn report(&mut self, at: i64, layout: [Option<u8>; 2], rows: &[(usize, Block, Row)]) {
        let newest = self.newest_at.is_none_or(|newest| at > newest);
        let current = newest || self.layout == Some(layout);
        if newest {
            self.newest_at = Some(at);
            if self.layout.replace(layout) != Some(layout) {
                let now: BTreeMap<usize, Block> = blocks(&layout).into_iter().collect();
                for (place, table) in self.tables.iter_mut().enumerate() {
                    let now = now.get(&place).into_iter().flat_map(|block| &block.instances);
                    let now: BTreeSet<String> = now.map(|instance| instance.values[0].clone()).collect();
                    table.going = &(&table.live - &now) - &table.fresh;
                    table.fresh = &(&table.fresh & &now) | &(&now - &table.live);
                    table.live = now;
                }
            }
        }
        for (place, block, row) in rows {
            self.row(at, *place, block, row, current);
        }
        for place in 0..2 {
            if newest {
                self.end(place, at);
            }
        }
    }

    fn row(&mut self, at: i64, place: usize, block: &Block, row: &Row, current: bool) {
        let table = &mut self.tables[place];
        if !table.instants.insert(at) {
            return;
        }
        let is_newest = current && table.newest_at.is_none_or(|newest| at > newest);
        let mut held = BTreeMap::new();
        let metrics = block.template.metrics.len();
        for (cell, value) in row.values.iter().enumerate() {
            let (instance, metric) = (&block.instances[cell / metrics].values[0], cell % metrics);
            let bits = match row.flags.get(cell) {
                Some(flag) if *flag == Flag::Failed as u8 => None,
                Some(flag) if *flag == Flag::Ended as u8 => Some(STALE),
                _ => Some(value.to_bits()),
            };
            held.insert((instance.clone(), metric), bits);
            if let Some(bits) = bits {
                self.put(labels(place, metric, instance), at, bits);
            }
        }
        if is_newest {
            held.extend(self.end(place, at).into_iter().map(|cell| (cell, Some(STALE))));
            self.tables[place].newest_at = Some(at);
            self.tables[place].newest = held;
            self.tables[place].fresh.clear();
        }
    }

    /// Ends what is gone; says what has ended now or before.
    fn end(&mut self, place: usize, at: i64) -> Vec<(String, usize)> {
        let table = &mut self.tables[place];
        let (going, mut ended) = (std::mem::take(&mut table.going), Vec::new());
        if table.newest_at.is_none() || going.is_empty() {
            return ended;
        }
        table.instants.insert(at);
        for instance in going {
            for metric in 0..METRICS[place].len() {
                let last = self.tables[place].newest.get(&(instance.clone(), metric)).copied();
                if last != Some(Some(STALE)) {
                    self.put(labels(place, metric, &instance), at, STALE);
                    ended.push((instance.clone(), metric));
                }
            }
        }
        ended
    }
}

fn labels(place: usize, metric: usize, instance: &str) -> Labels {
    let label = format!("label_{place}");
    Labels::new([
        ("__name__", METRICS[place][metric]),
        (&label, instance),
        ("instance", "web-1"),
        ("job", "node"),
        ("team", "red"),
    ])
}

fn derived(series: u8) -> Labels {
    let name = if series == 0 { "up" } else { "ALERTS" };
    Labels::new([("__name__", name.to_owned()), ("number", series.to_string())])
}

fn selectors() -> Vec<Selector> {
    let matcher = |label: &str, op, value: &str| Matcher { label: label.to_owned(), op, value: value.to_owned() };
    let all = [
        vec![],
        vec![matcher("__name__", MatchOp::Equal, "b")],
        vec![matcher("__name__", MatchOp::Equal, "ALERTS"), matcher("number", MatchOp::NotEqual, "1")],
        vec![matcher("__name__", MatchOp::Matches, "a.*|up"), matcher("team", MatchOp::NotEqual, "")],
        vec![matcher("label_1", MatchOp::Matches, "x|w")],
    ];
    all.into_iter().map(|matchers| Selector { matchers }).collect()
}

fn expected(points: &Points, selector: &Selector, after: i64, until: i64) -> Points {
    let taken = points.iter().filter(|(labels, _)| selector.matches(&labels.to_map()));
    let within = |points: &BTreeMap<i64, u64>| -> BTreeMap<i64, u64> {
        points.iter().filter(|(at, _)| **at > after && **at <= until).map(|(at, bits)| (*at, *bits)).collect()
    };
    taken.map(|(labels, points)| (labels.clone(), within(points))).filter(|(_, points)| !points.is_empty()).collect()
}

fn found(host: &HostSeries, selector: &Selector, after: i64, until: i64) -> Points {
    let mut all = Points::new();
    for series in host.select(selector, after, until).expect("memory can be read") {
        assert!(series.points.is_sorted_by(|a, b| a.at < b.at), "{series:?}");
        let points = series.points.iter().map(|point| (point.at, point.value.to_bits())).collect();
        assert!(all.insert(series.labels, points).is_none(), "each label set once");
    }
    all
}

proptest! {
    #[test]
    fn a_host_gives_what_the_model_gives(steps in proptest::collection::vec(step(), 1..60)) {
        let team = BTreeMap::from([("team".to_owned(), "red".to_owned())]);
        let (mut host, mut templates) = (HostSeries::new("web-1", &team), Templates::default());
        let mut model = Model::default();
        for step in steps {
            match step {
                Step::Cut => host.cut(),
                Step::Write { series, at, value } => {
                    host.write(&derived(series), at, value);
                    model.put(derived(series), at, value.to_bits());
                }
                Step::Report { at, layout, seed } => {
                    let blocks = blocks(&layout);
                    let due = blocks.iter().zip(0..).filter_map(|((place, block), number)| {
                        Some((*place, block.clone(), row(block, number, seed)?))
                    });
                    let due: Vec<(usize, Block, Row)> = due.collect();
                    let rows = due.iter().map(|(_, _, row)| row.clone()).collect();
                    let whole = Layout::whole(blocks.into_iter().map(|(_, block)| block).collect());
                    let whole = Arc::new(HeldLayout::new(&whole, &mut templates));
                    host.take(&Report { rows, ..Report::default() }, &whole, at);
                    model.report(at, layout, &due);
                }
            }
        }
        for selector in selectors() {
            for (after, until) in [(i64::MIN, i64::MAX), (10, 40), (30, 30), (25, 26)] {
                let due = expected(&model.points, &selector, after, until);
                prop_assert_eq!(found(&host, &selector, after, until), due, "{} in ({}, {}]", selector, after, until);
            }
        }
    }
}
