//! An agent that says that it ends.

use watchkeep_desk::input::AlertState;
use watchkeep_protocol::layout::Flag;

use super::*;
use crate::detect::metrics::MetricGroups;
use crate::fleet::gate::{Gone, Peer};

/// As ARCHITECTURE's hosts do it: two units that run, and what rules say of them.
struct Told {
    world: World,
    number: u64,
}

const RULES: &str = "groups:
  - name: units
    rules:
      - record: units:running
        expr: sum by (instance) (node_systemd_unit_state)
      - alert: Runs
        expr: node_systemd_unit_state > 0
      - alert: Flaps
        expr: changes(up[10m]) == 0 and up == 1
";

impl Told {
    fn new() -> Self {
        let book = watchkeep_rules::load::load(&[("rules.yaml".into(), RULES.to_owned())]);
        let mut rules = Rules::default();
        let checked = "the test's own rules";
        rules.metrics = MetricGroups::new(&book.expect(checked), &Arc::default()).expect(checked);
        let mut told = Self { world: World::new(), number: 0 };
        told.world.shard = Shard::restore(Arc::new(rules), BTreeMap::new(), Millis(0));
        told.begins(SESSION);
        told
    }

    fn begins(&mut self, session: [u8; 16]) {
        self.world.now += 5_000;
        // Its clock goes as the controller's.
        let clock_ms = self.world.now + 10;
        let samples = Span { first: 0, next: self.number };
        let hello = Hello { spool: vec![1; 16], samples, clock_ms, interval_ms: 15_000, ..Hello::default() };
        self.world.step(in_session(session, message(Kind::Hello, &hello)));
    }

    /// A reading of these units, 15 s after the one before; none: its collector failed. What alerts it brought.
    fn reads(&mut self, session: [u8; 16], units: &[(&str, Option<f64>)]) -> Vec<String> {
        self.world.now += 15_000;
        let layout = layout(&units.iter().map(|(unit, _)| *unit).collect::<Vec<_>>());
        let values = units.iter().map(|(_, value)| value.unwrap_or_default()).collect();
        let flag = |value: &Option<f64>| value.map_or(Flag::Failed as u8, |_| Flag::Read as u8);
        let rows = vec![Row { block: 0, values, flags: units.iter().map(|(_, value)| flag(value)).collect() }];
        let at_ms = self.world.now;
        let number = self.number;
        self.number += 1;
        let report = Report { spool: vec![1; 16], number, at_ms, layout: layout.id.clone(), rows, skipped: 0 };
        self.world.step(in_session(session, message(Kind::Layout, &layout)));
        alerts(&self.world.step(in_session(session, message(Kind::Report, &report))))
    }

    fn says_goodbye(&mut self) -> Vec<String> {
        let peer = Peer {
            agent: "web-1".into(),
            serial: String::new(),
            client: CLIENT.into(),
            incarnation: "0707070707070707".into(),
            remote: None,
        };
        alerts(&self.world.step(Incoming::Gone { peer, how: Gone::Goodbye }))
    }

    /// The newest point of each series of that name: its value, `-` for a stale marker.
    fn newest(&self, name: &str) -> Vec<String> {
        let newest = |series: Series| series.points.last().copied();
        let spoken = |point: watchkeep_rules::promql::series::Point| match point.is_stale() {
            true => "-".to_owned(),
            false => point.value.to_string(),
        };
        series(&self.world, name).into_iter().filter_map(newest).map(spoken).collect()
    }
}

/// `Runs nginx.service firing`, in order of names.
fn alerts(proposal: &Proposal) -> Vec<String> {
    let alert = |input: &InputBody| match input {
        InputBody::Alert(alert) => {
            let state = match alert.state {
                AlertState::Firing => "firing",
                AlertState::Stale => "stale",
                AlertState::Resolved => "resolved",
                AlertState::Past { .. } => "past",
            };
            let unit = alert.labels.get("name").map_or("", String::as_str);
            Some(format!("{} {unit} {state}", alert.rule).replace("  ", " "))
        }
        _ => None,
    };
    let mut alerts: Vec<String> = proposal.inputs.iter().filter_map(alert).collect();
    alerts.sort();
    alerts
}

const LATER: [u8; 16] = [9; 16];

#[test]
fn a_goodbye_ends_the_hosts_series_and_resolves_nothing() {
    let mut told = Told::new();
    let both = [("nginx.service", Some(1.0)), ("ssh.service", Some(2.0))];
    let fired = ["Flaps firing", "Runs nginx.service firing", "Runs ssh.service firing"];
    assert_eq!(told.reads(SESSION, &both), fired);
    assert_eq!((told.newest("up"), told.newest("units:running")), (vec!["1".to_owned()], vec!["3".to_owned()]));

    let held = ["Flaps stale", "Runs nginx.service stale", "Runs ssh.service stale"];
    assert_eq!(told.says_goodbye(), held);
    assert_eq!(told.newest("node_systemd_unit_state"), ["-", "-"]);
    for name in ["up", "units:running"] {
        assert_eq!(told.newest(name), ["-"], "{name}");
    }
    assert_eq!(told.newest("ALERTS"), ["-", "-", "-"]);
    told.world.now += 60_000;
    assert_eq!(alerts(&told.world.step(Incoming::Tick { behind: false })), Vec::<String>::new());
    assert_eq!(told.newest("up"), ["-"], "nobody says that it is down");
}

#[test]
fn what_the_agent_does_not_read_after_its_return_is_not_over_and_what_it_says_is_gone_is() {
    let mut told = Told::new();
    told.reads(SESSION, &[("nginx.service", Some(1.0)), ("ssh.service", Some(2.0))]);
    told.says_goodbye();
    told.begins(LATER);
    let unread = [("nginx.service", None), ("ssh.service", Some(2.0))];
    assert_eq!(told.reads(LATER, &unread), ["Flaps firing", "Runs ssh.service firing"], "nginx stays stale");
    assert_eq!(
        (told.newest("up"), told.newest("node_systemd_unit_state")),
        (vec!["1".into()], vec!["-".into(), "2".into()])
    );
    assert_eq!(told.reads(LATER, &[("ssh.service", Some(2.0))]), ["Runs nginx.service resolved"]);
}
