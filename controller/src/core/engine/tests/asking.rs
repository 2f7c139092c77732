//! Rules of single hosts whose annotations ask for samples of the whole fleet.

use watchkeep_protocol::topic::shard_of;

use super::*;

const RULES: &str = "groups:
  - name: weight
    rules:
      - alert: Heavy
        expr: load > 5
        annotations:
          summary: '{{ $labels.instance }}: {{ query \"sum(weight)\" | first | value }} of {{ len (query \"weight\") }}'
";

/// Two hosts of different workers, where there is more than one.
fn hosts() -> [String; 2] {
    let worker = |agent: &String| shard_of(agent) as usize % workers_wanted();
    let names = || (0..100).map(|number| format!("app-{number}"));
    let first = names().next().expect("there are a hundred");
    let other = names().skip(1).find(|agent| workers_wanted() == 1 || worker(agent) != worker(&first));
    [first, other.expect("a hundred names are of more than one worker")]
}

fn measured(number: u64, weight: f64, load: f64) -> (Layout, Report) {
    let metric = |name: &str| Metric { name: name.to_owned(), ..Metric::default() };
    let (collector, metrics) = ("load".to_owned(), vec![metric("weight"), metric("load")]);
    let template = Template { collector, metrics, instance_labels: Vec::new() };
    let layout = Layout::whole(vec![Block { template, instances: vec![Instance::default()] }]);
    let rows = vec![Row { block: 0, values: vec![weight, load], flags: Vec::new() }];
    let at_ms = 600 + 5_000 * i64::try_from(number).expect("a small number");
    let report = Report { number, at_ms, layout: layout.id.clone(), rows, ..Report::default() };
    (layout, report)
}

fn tell(inlet: &Inlet, agent: &str, (layout, mut report): (Layout, Report)) {
    report.spool = vec![agent.len() as u8; 16];
    send(inlet, agent, Kind::Layout, &layout);
    send(inlet, agent, Kind::Report, &report);
}

#[test]
fn an_annotation_of_one_hosts_alert_sees_all_hosts() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let database = store::open(&format!("sqlite:{}", folder.path().join("watchkeep.db").display())).expect("opened");
    let acks = Arc::new(Acks::default());
    let files = BTreeMap::from([("rules/weight.yaml".to_owned(), RULES.to_owned())]);
    let generation = Generation::check(files).unwrap_or_else(|error| panic!("{error}"));
    let engine = start_under(generation, folder.path(), &database, &acks, |_| {});
    let (inlet, hosts) = (engine.inlet(), hosts());
    for agent in &hosts {
        let spool = vec![agent.len() as u8; 16];
        let hello = Hello { spool, interval_ms: 15_000, version: "0.1.0".to_owned(), ..Hello::default() };
        send(&inlet, agent, Kind::Hello, &hello);
    }
    let taken = |agent: &String| acks.last(agent).map_or(0, |ack| ack.taken);
    let wait_for = |number: u64, load: f64| {
        let tell_all = || {
            for (agent, weight) in hosts.iter().zip([3.0, 4.0]) {
                if taken(agent) <= number {
                    tell(&inlet, agent, measured(number, weight, load));
                }
            }
        };
        until(|| hosts.iter().all(|agent| taken(agent) > number), tell_all, || format!("{:?}", acks.0));
    };
    wait_for(0, 1.0);
    // Both fire in the same breath: their workers ask each other.
    wait_for(1, 9.0);
    let mut store = database.writer().expect("connected");
    let mut summaries = || texts(store.as_mut(), "SELECT body FROM incident ORDER BY body");
    let began = Instant::now();
    let expected = hosts.each_ref().map(|agent| format!("{agent}: 7 of 2"));
    loop {
        let found = summaries();
        if expected.iter().all(|text| found.iter().any(|body| body.contains(text))) {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{expected:?}, found {found:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
    let standing = engine.reader().rules_of_hosts().expect("the workers answer");
    let alerts: Vec<_> = standing.groups.values().flat_map(|group| group.alerts.values().flatten()).collect();
    let shown: Vec<&String> = alerts.iter().map(|alert| &alert.annotations["summary"]).collect();
    assert!(shown.len() == 2 && expected.iter().all(|text| shown.contains(&text)), "what is kept: {shown:?}");
    engine.stop();
}
