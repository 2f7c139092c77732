//! Reports that are lost on the way.

use watchkeep_protocol::Status;

use super::*;

/// The number below which reports need not be sent again, as an ack says it.
pub(super) fn taken(proposal: &Proposal) -> Option<u64> {
    proposal.down.iter().find_map(|down| match down {
        Down::Ack { ack, .. } | Down::Taken { ack, .. } => Some(ack.taken),
        _ => None,
    })
}

/// What reports bring of one unit, in order of time.
pub(super) fn values(world: &World) -> Vec<(i64, f64)> {
    let found = series(world, "node_systemd_unit_state");
    found.iter().flat_map(|series| series.points.iter().map(|point| (point.at, point.value))).collect()
}

#[test]
fn a_report_that_was_lost_is_asked_for_and_the_mark_waits_for_it() {
    let (mut world, layout) = (World::greeted(1, 0), layout(&["nginx.service"]));
    world.step(message(Kind::Layout, &layout));
    world.step(read_at(0, 0, &layout));
    let begin = values(&world)[0].0;
    assert_eq!(taken(&world.step(read_at(1, 0, &layout))), Some(2));
    assert_eq!(taken(&world.step(read_at(4, 0, &layout))), Some(2), "2 and 3 are missing");
    world.now += 1_000;
    let asked = resync(&world.step(Incoming::Tick { behind: false }));
    assert_eq!(asked.reports, [Span { first: 2, next: 4 }]);
    assert!(!asked.hello && !asked.new_spool, "{asked:?}");
    assert_eq!(taken(&world.step(read_at(3, 0, &layout))), Some(2));
    assert_eq!(taken(&world.step(read_at(2, 0, &layout))), Some(5));
    assert_eq!(taken(&world.step(read_at(3, 0, &layout))), Some(5), "again");
    let expected: Vec<(i64, f64)> = (0..5).map(|number| (begin + 15_000 * number, number as f64)).collect();
    assert_eq!(values(&world), expected, "each at its own time, once");
    world.now += 10_000;
    assert!(world.step(Incoming::Tick { behind: false }).down.is_empty(), "nothing is missing");
}

#[test]
fn numbers_that_the_agent_does_not_hold_are_not_missing() {
    let (mut world, layout) = (World::greeted(1, 0), layout(&["nginx.service"]));
    world.step(message(Kind::Layout, &layout));
    assert_eq!(taken(&world.step(read_at(200, 200, &layout))), Some(201), "a crash left a gap");
    assert_eq!(taken(&world.step(read_at(210, 0, &layout))), Some(201));
    let skipped = Some(Span { first: 201, next: 209 });
    let status = Status { what: "skipped".into(), detail: "for want of disk".into(), skipped };
    let body = Some(MatterBody::Status(status));
    let matter = Matter { spool: vec![1; 16], number: 0, at_ms: 600, body };
    assert_eq!(taken(&world.step(message(Kind::Status, &matter))), Some(209));
    world.now += 1_000;
    assert_eq!(resync(&world.step(Incoming::Tick { behind: false })).reports, [Span { first: 209, next: 210 }]);
    assert_eq!(taken(&world.step(read_at(210, 1, &layout))), Some(211), "it comes again to say so");
}

#[test]
fn a_new_process_of_the_agent_need_not_send_again_what_is_in_memory() {
    let (mut world, layout) = (World::greeted(1, 0), layout(&["nginx.service"]));
    world.step(message(Kind::Layout, &layout));
    for number in [0, 1, 3] {
        world.step(read_at(number, 0, &layout));
    }
    let samples = Span { first: 0, next: 4 };
    let hello = Hello { spool: vec![1; 16], samples, interval_ms: 15_000, ..Hello::default() };
    let proposal = world.step(in_session([9; 16], message(Kind::Hello, &hello)));
    assert_eq!(taken(&proposal), Some(2), "{proposal:?}");
}

/// Report `number`, read 15 s after the one before it, behind so many that the agent does not hold.
pub(super) fn read_at(number: u64, skipped: u64, layout: &Layout) -> Incoming {
    let rows = vec![Row { block: 0, values: vec![number as f64], flags: Vec::new() }];
    let at_ms = number as i64 * 15_000 - 9_000_000;
    message(Kind::Report, &Report { spool: vec![1; 16], number, at_ms, layout: layout.id.clone(), rows, skipped })
}
