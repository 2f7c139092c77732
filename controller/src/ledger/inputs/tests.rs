use watchkeep_desk::InputBody;

use super::*;

fn input(order: u64) -> Input {
    Input { order, at: Millis(order as i64 * 1_000), generation: "g1".into(), body: InputBody::Due }
}

fn inputs(orders: std::ops::RangeInclusive<u64>) -> Vec<Input> {
    orders.map(input).collect()
}

fn orders(folder: &Path, from: u64) -> Vec<u64> {
    read(folder, from).expect("listed").map(|input| input.expect("whole").order).collect()
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

#[test]
fn what_was_appended_is_read_back_from_any_order() {
    let folder = folder();
    let mut log = InputLog::open_with(folder.path(), 200).expect("opened");
    for order in (1..=20).step_by(2) {
        log.append(&inputs(order..=order + 1)).expect("appended");
    }
    assert!(files::list(folder.path()).expect("listed").len() > 3, "small files follow each other");
    let all: Vec<Input> = read(folder.path(), 1).expect("listed").map(|input| input.expect("whole")).collect();
    assert_eq!(all, inputs(1..=20));
    for from in 1..=21 {
        assert_eq!(orders(folder.path(), from), (from..=20).collect::<Vec<_>>());
    }
    assert_eq!(InputLog::open(folder.path()).expect("opened").last(), 20);
}

#[test]
fn an_order_out_of_turn_is_refused() {
    let folder = folder();
    let mut log = InputLog::open(folder.path()).expect("opened");
    log.append(&inputs(1..=3)).expect("appended");
    for wrong in [inputs(3..=3), inputs(5..=5), vec![input(4), input(6)]] {
        let error = log.append(&wrong).expect_err("refused").to_string();
        assert!(error.contains("was to be written where"), "{error}");
    }
    log.append(&inputs(4..=4)).expect("the log is as it was");
    assert_eq!(orders(folder.path(), 1), [1, 2, 3, 4]);
}

#[test]
fn a_tail_torn_at_any_byte_is_cut_off_and_written_on() {
    let folder = folder();
    let mut log = InputLog::open(folder.path()).expect("opened");
    log.append(&inputs(1..=2)).expect("appended");
    let path = folder.path().join(files::name(1));
    let two = path.metadata().expect("there").len();
    log.append(&inputs(3..=3)).expect("appended");
    let whole = std::fs::read(&path).expect("read");
    drop(log);
    for torn in two as usize..whole.len() {
        std::fs::write(&path, &whole[..torn]).expect("torn");
        assert_eq!(orders(folder.path(), 1), [1, 2], "torn at {torn}, read");
        let mut log = InputLog::open(folder.path()).expect("opened");
        assert_eq!(log.last(), 2, "torn at {torn}");
        log.append(&inputs(3..=3)).expect("appended");
        assert_eq!(orders(folder.path(), 1), [1, 2, 3], "torn at {torn}, written on");
    }
}

#[test]
fn a_file_torn_at_its_birth_is_made_again() {
    let folder = folder();
    let mut log = InputLog::open_with(folder.path(), 1).expect("opened");
    log.append(&inputs(1..=1)).expect("appended");
    for length in 0..=FORMAT.len() {
        std::fs::write(folder.path().join(files::name(2)), &FORMAT[..length]).expect("written");
        let mut log = InputLog::open_with(folder.path(), 1).expect("opened");
        assert_eq!(log.last(), 1);
        log.append(&inputs(2..=2)).expect("appended");
        assert_eq!(orders(folder.path(), 1), [1, 2]);
        log.cut(1).expect("cut");
    }
}

#[test]
fn what_was_never_committed_is_cut() {
    for committed in 0..=20 {
        let folder = folder();
        let mut log = InputLog::open_with(folder.path(), 200).expect("opened");
        for order in 1..=20 {
            log.append(&inputs(order..=order)).expect("appended");
        }
        assert_eq!(log.cut(committed).expect("cut"), Cut { taken: 20 - committed, missing: 0 });
        assert_eq!(log.last(), committed);
        assert_eq!(orders(folder.path(), 1), (1..=committed).collect::<Vec<_>>());
        log.append(&inputs(committed + 1..=committed + 1)).expect("written on");
        assert_eq!(orders(folder.path(), 1), (1..=committed + 1).collect::<Vec<_>>());
    }
}

#[test]
fn committed_inputs_that_the_log_lacks_are_counted_and_seen_as_a_gap() {
    let folder = folder();
    let mut log = InputLog::open(folder.path()).expect("opened");
    log.append(&inputs(1..=3)).expect("appended");
    assert_eq!(log.cut(7).expect("cut"), Cut { taken: 0, missing: 4 });
    log.append(&inputs(8..=9)).expect("appended");
    let read: Vec<_> =
        read(folder.path(), 1).expect("listed").map(|one| one.map_err(|error| error.to_string())).collect();
    assert_eq!(read.len(), 4);
    assert_eq!(read[3], Err("input 8 was to be written where 4 belongs".to_owned()));
    assert_eq!(orders(folder.path(), 8), [8, 9]);
}

#[test]
fn damage_before_the_end_is_named() {
    let folder = folder();
    let mut log = InputLog::open_with(folder.path(), 150).expect("opened");
    for order in 1..=9 {
        log.append(&inputs(order..=order)).expect("appended");
    }
    let path = folder.path().join(files::name(1));
    let mut bytes = std::fs::read(&path).expect("read");
    bytes[FORMAT.len() + HEAD_AND_A_BIT] ^= 1;
    std::fs::write(&path, bytes).expect("damaged");
    let error = read(folder.path(), 1).expect("listed").find_map(Result::err).expect("found").to_string();
    assert!(error.contains("00000001.log\" at byte 19: the checksum of a record"), "{error}");
}

/// Into the first body.
const HEAD_AND_A_BIT: usize = 12;

#[test]
fn a_foreign_file_is_refused_with_words() {
    let folder = folder();
    std::fs::write(folder.path().join("00000001.log"), b"something else").expect("written");
    let error = InputLog::open(folder.path()).map(drop).expect_err("refused").to_string();
    assert!(error.contains("does not begin with \"watchkeep inputs 1\"; move it"), "{error}");
}

#[test]
fn what_was_measured_is_read_back_to_the_bit() {
    let folder = folder();
    let mut log = InputLog::open(folder.path()).expect("opened");
    // Digits that a reader in a hurry takes for their neighbour, and numbers all over the range (a linear congruence).
    let mut bits = 0.905_168_002_734_605_7_f64.to_bits();
    let mut next = || {
        bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from_bits(bits)
    };
    let values = std::iter::repeat_with(&mut next).filter(|value| value.is_finite()).take(10_000);
    let evidence: Vec<serde_json::Value> =
        [0.905_168_002_734_605_7].into_iter().chain(values).map(Into::into).collect();
    let change = watchkeep_desk::input::AlertChange {
        rule: "Busy".into(),
        labels: Default::default(),
        annotations: Default::default(),
        state: watchkeep_desk::input::AlertState::Firing,
        happened_at: Millis(1),
        agent: None,
        reason: String::new(),
        evidence,
    };
    let written = Input { body: InputBody::Alert(change), ..input(1) };
    log.append(std::slice::from_ref(&written)).expect("appended");
    let read = read(folder.path(), 1).expect("listed").next().expect("one").expect("whole");
    assert!(read == written, "a value came back as its neighbour");
}
