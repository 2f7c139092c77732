//! The same inputs give the same bytes, and the records alone give the same desk.

use watchkeep_desk::input::{ActBody, Outcome};
use watchkeep_desk::{Desk, Input};

use crate::bench::{Bench, DAY, MINUTE, ordinary};

fn a_full_day() -> Bench {
    let mut bench = ordinary();
    for unit in ["nginx.service", "php.service"] {
        bench.fire("web-1", unit);
        bench.answer(Outcome::Done);
        bench.answer(Outcome::Done);
        bench.clear("web-1", unit);
        bench.pass(MINUTE);
    }
    bench.fire("web-1", "nginx.service");
    bench.lose("web-1");
    let run = bench.run(1).id;
    assert!(bench.act("alice", ActBody::RunStop { run, note: "too late".to_owned() }).is_err());
    bench.pass(DAY);
    bench.connect("web-1");
    bench.pass(4 * DAY);
    bench
}

fn facts_of(inputs: &[Input], bench: &Bench) -> Vec<u8> {
    let mut desk = Desk::default();
    let facts: Vec<_> = inputs.iter().flat_map(|input| desk.decide(&bench.config, input).facts).collect();
    serde_json::to_vec(&facts).expect("facts are plain data")
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    let bench = a_full_day();
    let told: Vec<_> = bench.facts.iter().map(|(_, fact)| fact).collect();
    let told = serde_json::to_vec(&told).expect("facts are plain data");
    // As an input log keeps them.
    let text = serde_json::to_string(&bench.inputs).expect("inputs are plain data");
    let inputs: Vec<Input> = serde_json::from_str(&text).expect("inputs read back");
    assert_eq!(facts_of(&inputs, &bench), told);
    assert_ne!(facts_of(&inputs[1..], &bench), told, "another story gives other bytes");
}

#[test]
fn a_desk_restored_in_the_middle_decides_as_the_one_that_went_on() {
    let bench = a_full_day();
    let mut first = Bench::new(bench.config.clone());
    for input in &bench.inputs {
        let mut restored = first.restored();
        assert_eq!(restored, first.desk, "before input {}", input.order);
        let other = restored.decide(&bench.config, input);
        first.at = input.at.0;
        assert_eq!(first.feed(input.body.clone()), other, "input {}", input.order);
    }
    assert_eq!(first.facts.len(), bench.facts.len());
}

#[test]
fn facts_read_back_as_they_were_written() {
    for (_, fact) in a_full_day().facts {
        let text = serde_json::to_string(&fact).expect("facts are plain data");
        assert_eq!(serde_json::from_str::<watchkeep_desk::Fact>(&text).expect("a fact reads back"), fact);
    }
}
