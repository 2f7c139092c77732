//! A later incident of a key names the earlier one, also after the desk has let go of it.

use watchkeep_desk::incidents::Incident;

use crate::bench::{Bench, DAY, config};

const PLAIN: &str = r#"
groups:
  - name: test
    rules:
      - event: UnitFailed
        match: '{kind="unit_failed"}'
        by: [instance, unit]
        clear: '{kind="unit_recovered"}'
        incident: {key: [alertname, instance, unit], resolve_after: 30s}
"#;

fn links(incident: &Incident) -> Vec<String> {
    incident.links.iter().map(|link| format!("{} {}", link.kind, link.incident)).collect()
}

fn fails_and_recovers(bench: &mut Bench) {
    bench.fire("web-1", "nginx.service");
    bench.clear("web-1", "nginx.service");
    bench.pass(4 * DAY);
}

#[test]
fn a_new_incident_names_the_closed_one_of_its_key() {
    let mut bench = Bench::with_host(config(PLAIN, &[]), "web-1");
    fails_and_recovers(&mut bench);
    assert_eq!(bench.incident(1).state.word(), "closed");
    assert!(bench.desk.incident("INC-1".parse().expect("an id")).is_none(), "the desk let go of it");
    bench.desk = bench.restored();
    fails_and_recovers(&mut bench);
    assert_eq!(links(&bench.incident(2)), ["earlier INC-1"]);
    bench.fire("web-1", "cron.service");
    assert_eq!(links(&bench.incident(3)), Vec::<String>::new(), "of another key");
    assert!(bench.story().contains("INC-1 of its key is over: a new incident that names it"));
}

#[test]
fn a_key_is_forgotten_after_ninety_days() {
    let mut bench = Bench::with_host(config(PLAIN, &[]), "web-1");
    fails_and_recovers(&mut bench);
    bench.pass(91 * DAY);
    bench.fire("web-1", "nginx.service");
    assert_eq!(links(&bench.incident(2)), Vec::<String>::new());
    bench.clear("web-1", "nginx.service");
    bench.fire("web-1", "cron.service");
    bench.clear("web-1", "cron.service");
    bench.pass(4 * DAY);
    let remembered = |bench: &Bench| {
        bench.records.iter().filter(|(key, record)| key.1.starts_with("earlier/") && record.is_live()).count()
    };
    assert_eq!(remembered(&bench), 2);
    bench.pass(91 * DAY);
    bench.fire("web-1", "ssh.service");
    bench.clear("web-1", "ssh.service");
    bench.pass(4 * DAY);
    assert_eq!(remembered(&bench), 1, "the two old ones went");
    assert_eq!(bench.restored(), bench.desk);
}
