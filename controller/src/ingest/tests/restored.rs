//! Hosts that were put back to a snapshot: their reports have numbers that others had before.

use watchkeep_protocol::Unsent;

use super::lost::{read_at, taken, values};
use super::*;

/// A hello of another process that holds reports from 0 on and has sent none from `unsent` on.
fn hello_of(session: [u8; 16], next: u64, unsent: Option<u64>) -> Incoming {
    let unsent = unsent.map(|samples| Unsent { matters: 0, samples });
    let samples = Span { first: 0, next };
    let hello = Hello { spool: vec![1; 16], samples, unsent, interval_ms: 15_000, ..Hello::default() };
    in_session(session, message(Kind::Hello, &hello))
}

/// A host whose reports 0 to 4 were taken.
fn reported() -> (World, Layout) {
    let (mut world, layout) = (World::greeted(1, 0), layout(&["nginx.service"]));
    world.step(message(Kind::Layout, &layout));
    for number in 0..5 {
        world.step(read_at(number, 0, &layout));
    }
    (world, layout)
}

#[test]
fn reports_that_were_never_sent_and_came_are_those_of_another_past() {
    for (next, unsent, is_restored) in [
        (5, Some(5), false),
        (9, Some(5), false),
        (5, None, false),
        (3, Some(3), true),
        (4, None, true),
        // It has counted on by now, and more than once; nobody has answered it.
        (900, Some(3), true),
        (900, Some(4), true),
    ] {
        let (mut world, _) = reported();
        let said = world.step(hello_of([9; 16], next, unsent));
        assert_eq!(resync(&said).new_spool, is_restored, "{unsent:?}, {next}: {said:?}");
        assert_eq!(taken(&said), (!is_restored).then_some(5));
    }
}

#[test]
fn what_a_restored_host_reports_is_taken_once_it_is_numbered_anew() {
    let (mut world, layout) = reported();
    world.step(hello_of([9; 16], 3, Some(3)));
    assert_eq!(taken(&world.step(in_session([9; 16], read_at(3, 0, &layout)))), None, "it is not taken for the other");
    let samples = Span { first: 3, next: 4 };
    let unsent = Some(Unsent { matters: 0, samples: 3 });
    let hello = Hello { spool: vec![2; 16], samples, unsent, interval_ms: 15_000, ..Hello::default() };
    assert_eq!(taken(&world.step(in_session([9; 16], message(Kind::Hello, &hello)))), Some(3));
    let rows = vec![Row { block: 0, values: vec![33.0], flags: Vec::new() }];
    let report = Report { spool: vec![2; 16], number: 3, layout: layout.id, rows, ..Report::default() };
    assert_eq!(taken(&world.step(in_session([9; 16], message(Kind::Report, &report)))), Some(4));
    assert!(values(&world).iter().any(|(_, value)| *value == 33.0), "{:?}", values(&world));
}

#[test]
fn a_process_that_counts_back_is_that_of_a_host_resumed_from_its_memory() {
    let (mut world, layout) = reported();
    world.step(counted(40, read_at(5, 0, &layout)));
    let hello = || counted(20, in_session(SESSION, hello_of(SESSION, 9, None)));
    assert!(!resync(&world.step(hello())).new_spool, "it was overtaken");
    world.now += 31_000;
    assert!(resync(&world.step(hello())).new_spool, "it knows nothing of 21 to 40");
}
