//! Stories of one host: what comes, what goes, what fails, what is late.

use std::collections::BTreeMap;
use std::sync::Arc;

use watchkeep_protocol::layout::{Block, Flag, Instance, Metric, Template};
use watchkeep_protocol::{Layout, Report, Row};
use watchkeep_rules::promql::labels::Labels;
use watchkeep_rules::promql::series::{Point, Samples};
use watchkeep_rules::selector::Selector;

use super::{HeldLayout, HostSeries, Taken, Templates};

pub fn block(collector: &str, label: &str, metrics: &[&str], instances: &[&str]) -> Block {
    let metric = |name: &&str| Metric { name: (*name).to_owned(), ..Metric::default() };
    let template = Template {
        collector: collector.to_owned(),
        metrics: metrics.iter().map(metric).collect(),
        instance_labels: vec![label.to_owned()],
    };
    let instance = |value: &&str| Instance { values: vec![(*value).to_owned()] };
    Block { template, instances: instances.iter().map(instance).collect() }
}

fn disks(instances: &[&str]) -> Arc<Layout> {
    Arc::new(Layout::whole(vec![block("disk", "device", &["reads_total", "writes_total"], instances)]))
}

pub fn row(block: u32, values: &[f64]) -> Row {
    Row { block, values: values.to_vec(), flags: Vec::new() }
}

struct World {
    host: HostSeries,
    templates: Templates,
}

impl World {
    fn new() -> Self {
        let labels = BTreeMap::from([("environment".to_owned(), "production".to_owned())]);
        Self { host: HostSeries::new("db-1", &labels), templates: Templates::default() }
    }

    fn take(&mut self, at: i64, layout: &Arc<Layout>, rows: Vec<Row>) -> Taken {
        let layout = Arc::new(HeldLayout::new(layout, &mut self.templates));
        self.host.take(&Report { rows, ..Report::default() }, &layout, at)
    }

    /// Every series that the selector takes, as `labels: value@time …`, `-` for a stale marker.
    fn read(&self, selector: &str) -> Vec<String> {
        let (name, mut matchers) = Selector::parse_with_metric(selector).expect("a selector");
        matchers.matchers.extend(name.map(|value| watchkeep_rules::selector::Matcher {
            label: "__name__".to_owned(),
            op: watchkeep_rules::selector::MatchOp::Equal,
            value,
        }));
        let found = self.host.select(&matchers, i64::MIN, i64::MAX).expect("memory can be read");
        found.iter().map(|series| format!("{} {}", shown(&series.labels), points(&series.points))).collect()
    }
}

fn shown(labels: &Labels) -> String {
    let hidden = ["instance", "job", "environment"];
    let shown = labels.iter().filter(|(name, _)| !hidden.contains(name)).map(|(_, value)| value.to_owned());
    shown.collect::<Vec<_>>().join(" ")
}

fn points(points: &[Point]) -> String {
    let point = |point: &Point| {
        if point.is_stale() { format!("-@{}", point.at) } else { format!("{}@{}", point.value, point.at) }
    };
    points.iter().map(point).collect::<Vec<_>>().join(" ")
}

#[test]
fn series_carry_the_templates_labels_the_instances_and_the_hosts() {
    let mut world = World::new();
    world.take(10, &disks(&["sda"]), vec![row(0, &[1.0, 2.0])]);
    let found = world.host.select(&Selector::default(), 0, 10).expect("memory can be read");
    let labels: Vec<(&str, &str)> = found[0].labels.iter().collect();
    let expected = [
        ("__name__", "reads_total"),
        ("device", "sda"),
        ("environment", "production"),
        ("instance", "db-1"),
        ("job", "node"),
    ];
    assert_eq!((found.len(), labels.as_slice()), (2, expected.as_slice()));
}

#[test]
fn a_label_of_the_host_never_overrides_the_series_own() {
    let labels = BTreeMap::from([("device", "of the host"), ("instance", "another"), ("job", "another")]);
    let labels = labels.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let mut world = World { host: HostSeries::new("db-1", &labels), templates: Templates::default() };
    world.take(10, &disks(&["sda"]), vec![row(0, &[1.0, 2.0])]);
    let found = world.host.select(&Selector::default(), 0, 10).expect("memory can be read");
    let of = |name| found[0].labels.get(name);
    assert_eq!((of("device"), of("instance"), of("job")), (Some("sda"), Some("db-1"), Some("node")));
}

#[test]
fn what_failed_is_a_gap_and_what_ended_a_stale_marker() {
    let (mut world, layout) = (World::new(), disks(&["sda"]));
    world.take(10, &layout, vec![row(0, &[1.0, 2.0])]);
    let flags = vec![Flag::Failed as u8, Flag::Ended as u8];
    world.take(20, &layout, vec![Row { block: 0, values: vec![0.0, 0.0], flags }]);
    assert_eq!(world.read("{}"), ["reads_total sda 1@10", "writes_total sda 2@10 -@20"]);
    assert_eq!(world.host.newest("reads_total").count(), 0, "the newest row has none");
}

#[test]
fn an_instance_that_goes_ends_and_the_others_go_on() {
    let mut world = World::new();
    world.take(10, &disks(&["sda", "sdb"]), vec![row(0, &[1.0, 2.0, 3.0, 4.0])]);
    world.take(20, &disks(&["sdb", "sdc"]), vec![row(0, &[5.0, 6.0, 7.0, 8.0])]);
    assert_eq!(
        world.read("reads_total"),
        ["reads_total sda 1@10 -@20", "reads_total sdb 3@10 5@20", "reads_total sdc 7@20"]
    );
    world.take(30, &disks(&["sda", "sdb"]), vec![row(0, &[9.0, 0.0, 10.0, 0.0])]);
    assert_eq!(
        world.read("reads_total"),
        ["reads_total sda 1@10 -@20 9@30", "reads_total sdb 3@10 5@20 10@30", "reads_total sdc 7@20 -@30"]
    );
}

#[test]
fn what_the_agent_ended_itself_is_not_ended_again() {
    let mut world = World::new();
    let ended = Row { block: 0, values: vec![0.0, 0.0], flags: vec![Flag::Ended as u8; 2] };
    world.take(10, &disks(&["sda"]), vec![row(0, &[1.0, 2.0])]);
    world.take(20, &disks(&["sda"]), vec![ended]);
    world.take(30, &disks(&[]), vec![row(0, &[])]);
    assert_eq!(world.read("reads_total"), ["reads_total sda 1@10 -@20"]);
}

#[test]
fn a_block_that_goes_ends_and_goes_on_where_it_left_when_it_comes_back() {
    let mut world = World::new();
    let both = |instances: &[&str]| {
        let blocks = vec![block("cpu", "cpu", &["seconds_total"], &["0"]), disks(instances).blocks[0].clone()];
        Arc::new(Layout::whole(blocks))
    };
    world.take(10, &both(&["sda"]), vec![row(0, &[1.0]), row(1, &[2.0, 3.0])]);
    world.take(20, &disks(&["sda"]), vec![row(0, &[4.0, 5.0])]);
    world.take(30, &both(&["sda"]), vec![row(0, &[6.0])]);
    assert_eq!(
        world.read("{}"),
        ["reads_total sda 2@10 4@20", "seconds_total 0 1@10 -@20 6@30", "writes_total sda 3@10 5@20"]
    );
    let newest: Vec<f64> = world.host.newest("reads_total").map(|(_, point)| point.value).collect();
    assert_eq!(newest, [4.0], "it was not due, which takes nothing away");
}

#[test]
fn a_host_that_is_stopped_ends_and_goes_on_where_it_comes_back() {
    let mut world = World::new();
    world.take(10, &disks(&["sda", "sdb"]), vec![row(0, &[1.0, 2.0, 3.0, 4.0])]);
    world.host.write_up(10, 1.0);
    world.host.end(20);
    assert_eq!(world.read("{}").iter().filter(|series| series.ends_with("-@20")).count(), 5, "{:?}", world.read("{}"));
    // What was lost on the way comes late, at its own time.
    world.take(15, &disks(&["sda", "sdb"]), vec![row(0, &[1.5, 2.0, 3.5, 4.0])]);
    world.host.write_up(15, 1.0);
    world.take(30, &disks(&["sda"]), vec![row(0, &[5.0, 6.0])]);
    world.host.write_up(30, 1.0);
    assert_eq!(world.read("up"), ["up 1@10 1@15 -@20 1@30"]);
    let gone = "reads_total sdb 3@10 3.5@15 -@20 -@30";
    assert_eq!(world.read("reads_total"), ["reads_total sda 1@10 1.5@15 -@20 5@30", gone], "sdb is said to be gone");
}

#[test]
fn a_host_is_stopped_after_its_newest_reading_whatever_the_clocks_say() {
    let mut world = World::new();
    world.take(10, &disks(&["sda"]), vec![row(0, &[1.0, 2.0])]);
    world.host.end(7);
    assert_eq!(world.read("reads_total"), ["reads_total sda 1@10 -@11"]);
}

#[test]
fn late_rows_stand_beside_the_head_and_are_read_in_order() {
    let (mut world, layout) = (World::new(), disks(&["sda"]));
    world.take(10, &layout, vec![row(0, &[1.0, 0.0])]);
    world.take(40, &layout, vec![row(0, &[4.0, 0.0])]);
    let late = world.take(20, &disks(&["sdb"]), vec![row(0, &[2.0, 0.0])]);
    assert_eq!(late, Taken { newest: false, late: 2, again: 0, values: 2 });
    world.host.cut();
    world.take(30, &layout, vec![row(0, &[3.0, 0.0])]);
    assert_eq!(world.read("reads_total"), ["reads_total sda 1@10 3@30 4@40", "reads_total sdb 2@20"]);
    let again = world.take(20, &layout, vec![row(0, &[9.0, 9.0])]);
    assert_eq!(again, Taken { newest: false, late: 0, again: 2, values: 0 });
    assert_eq!(world.host.newest("reads_total").map(|(_, point)| point.at).collect::<Vec<_>>(), [40]);
}

#[test]
fn the_newest_values_are_at_hand_after_a_cut() {
    let mut world = World::new();
    world.take(10, &disks(&["sda", "sdb"]), vec![row(0, &[1.0, 2.0, 3.0, 4.0])]);
    world.take(20, &disks(&["sdb"]), vec![row(0, &[5.0, 6.0])]);
    world.host.cut();
    assert_eq!(
        world.host.newest("writes_total").map(|(_, point)| (point.at, point.value)).collect::<Vec<_>>(),
        [(20, 6.0)]
    );
    world.take(30, &disks(&[]), vec![row(0, &[])]);
    assert_eq!(world.read("writes_total"), ["writes_total sda 2@10 -@20", "writes_total sdb 4@10 6@20 -@30"]);
}

#[test]
fn derived_series_are_read_under_their_own_labels() {
    let mut world = World::new();
    let alert = Labels::new([("__name__", "ALERTS"), ("alertname", "DiskFilling")]);
    let up = Labels::new([("__name__", "up"), ("instance", "db-1")]);
    world.host.write(&up, 10, 1.0);
    world.host.write(&alert, 20, 1.0);
    world.host.write(&up, 20, 0.0);
    world.host.write(&up, 20, 7.0);
    world.host.cut();
    world.host.write(&up, 15, 5.0);
    world.host.write(&alert, 30, Point::stale(30).value);
    assert_eq!(world.read("up"), ["up 1@10 5@15 0@20"]);
    assert_eq!(world.read("{alertname=~\"Disk.+\"}"), ["ALERTS DiskFilling 1@20 -@30"]);
}

/// A host as hosts are: 300 series of which many are constant, some gauges, some counters.
#[test]
fn what_is_not_packed_yet_takes_the_memory_of_its_rows_and_gives_it_back() {
    let names: Vec<String> = (0..50).map(|number| format!("sd{number}")).collect();
    let layout = disks(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let (mut world, series) = (World::new(), 2 * names.len() as u64);
    let mut taken = |rows: std::ops::Range<i64>| {
        for at in rows {
            let values: Vec<f64> = (0..series).map(|cell| cell as f64).collect();
            world.take(at * 15_000, &layout, vec![row(0, &values)]);
        }
        world.host.held().bytes
    };
    let empty = taken(0..1) - 4 * 8 * series;
    for until in [9, 21, 100, 200] {
        let (held, rows) = (taken(1..until) - empty, until as u64);
        let room = (rows + 4).max(rows + rows / 4 + 1);
        assert!((rows * 8 * series..=room * 8 * (series + 1)).contains(&held), "{held} bytes for {rows} rows");
    }
    let packed = taken(200..300) - empty;
    assert!(packed < (44 + 15 + 8) * 8 * series, "{packed} bytes after the head was cut");
}

#[test]
fn an_hour_of_a_host_is_small() {
    let names: Vec<String> = (0..50).map(|number| format!("metric_{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let layout = Arc::new(Layout::whole(vec![block("all", "core", &names, &["0", "1", "2", "3", "4", "5"])]));
    let mut world = World::new();
    let mut chance = 1_u64;
    let mut counters = vec![1_000.0_f64; 300];
    for step in 0..240_i64 {
        let mut draw = |most: u64| {
            chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (chance >> 33) % most
        };
        for (place, value) in counters.iter_mut().enumerate() {
            match place % 10 {
                0..4 => {}
                4..6 => *value += (draw(1_500) as f64) / 100.0,
                6..8 => *value += draw(5_000) as f64,
                _ => *value = (draw(100_000) * 4_096) as f64,
            }
        }
        world.take(step * 15_000, &layout, vec![row(0, &counters)]);
        if step % 20 == 19 {
            world.host.cut();
        }
    }
    let a_sample = world.host.held().bytes as f64 / (240.0 * 300.0);
    println!("{a_sample:.2} bytes a sample");
    assert!(a_sample < 4.5, "{a_sample} bytes a sample");
}
