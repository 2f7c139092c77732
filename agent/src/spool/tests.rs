use std::collections::BTreeMap;

use watchkeep_protocol::{Event, MatterBody, Report, Span, Unsent};

use super::memory::MemoryDisk;
use super::{Disk as _, FolderDisk, Limits, Spool};

const SMALL: Limits = Limits { segment_bytes: 200, samples_bytes_max: 1_000 };

pub(super) fn event(text: &str) -> MatterBody {
    let labels = BTreeMap::from([("kind".to_owned(), "x".to_owned())]);
    MatterBody::Event(Event { labels, text: text.to_owned() })
}

pub(super) fn report(at_ms: i64) -> Report {
    Report { at_ms, layout: vec![3; 32], ..Report::default() }
}

fn open(disk: &MemoryDisk) -> Spool<MemoryDisk> {
    Spool::open(disk.clone(), SMALL, [1; 16]).expect("the spool opens")
}

fn text(spool: &mut Spool<MemoryDisk>, number: u64) -> Option<String> {
    let matter = spool.matter(number).expect("the disk reads")?;
    assert_eq!((matter.spool.as_slice(), matter.number), (spool.id().as_slice(), number));
    match matter.body {
        Some(MatterBody::Event(event)) => Some(event.text),
        Some(MatterBody::Status(status)) => Some(status.what),
        _ => None,
    }
}

fn add(spool: &mut Spool<MemoryDisk>, texts: &[&str]) {
    for text in texts {
        spool.add_matter(5, event(text)).expect("appended");
    }
    spool.sync().expect("synced");
}

#[test]
fn a_matter_is_sendable_once_it_is_durable() {
    let mut spool = open(&MemoryDisk::new());
    assert_eq!(spool.add_matter(5, event("a")).expect("appended"), 0);
    assert_eq!(spool.matters(), Span { first: 0, next: 0 });
    assert_eq!(text(&mut spool, 0), None);
    spool.sync().expect("synced");
    assert_eq!(spool.matters(), Span { first: 0, next: 1 });
    assert_eq!(text(&mut spool, 0).as_deref(), Some("a"));
}

#[test]
fn what_is_held_survives_a_start_under_the_same_numbers() {
    let disk = MemoryDisk::new();
    let mut spool = open(&disk);
    add(&mut spool, &["a", "b", "c", "d", "e", "f", "g", "h", "i"]);
    spool.acked(4, 0).expect("acked");
    spool.close().expect("closed");
    let mut spool = Spool::open(disk, SMALL, [2; 16]).expect("opened");
    assert_eq!(spool.id(), [1; 16], "the id is drawn once");
    assert_eq!(spool.matters(), Span { first: 4, next: 9 });
    assert_eq!(text(&mut spool, 4).as_deref(), Some("e"));
    assert_eq!(text(&mut spool, 8).as_deref(), Some("i"));
    assert_eq!(text(&mut spool, 3), None);
    assert_eq!(spool.repairs, Vec::<String>::new());
}

#[test]
fn numbers_go_on_where_everything_was_acknowledged() {
    let disk = MemoryDisk::new();
    let mut spool = open(&disk);
    add(&mut spool, &["a", "b"]);
    spool.add_report(report(1)).expect("appended");
    spool.acked(2, 1).expect("acked");
    spool.close().expect("closed");
    let mut spool = open(&disk);
    add(&mut spool, &["c"]);
    assert_eq!(spool.matters(), Span { first: 2, next: 3 });
    assert_eq!(spool.add_report(report(2)).expect("appended"), 1);
    assert_eq!(spool.take_skipped(), None);
}

#[test]
fn whole_segments_below_the_marks_are_deleted() {
    let disk = MemoryDisk::new();
    let mut spool = open(&disk);
    for number in 0..50 {
        add(&mut spool, &[&format!("matter {number}")]);
    }
    let files = disk.clone().list().expect("files").len();
    spool.acked(49, 0).expect("acked");
    let left = disk.clone().list().expect("files");
    assert!(files > 10 && left.len() <= 2, "{files} files, then {left:?}");
    assert_eq!(text(&mut spool, 49).as_deref(), Some("matter 49"));
    spool.acked(3, 0).expect("acked");
    assert_eq!(spool.matters().first, 49, "a mark never moves back");
    spool.acked(1_000, 0).expect("acked");
    assert_eq!(spool.matters().first, 50, "nor beyond what is held");
}

#[test]
fn samples_are_given_up_oldest_first_and_that_is_said_while_matters_stay() {
    let mut spool = open(&MemoryDisk::new());
    add(&mut spool, &["kept"]);
    for at in 0..100 {
        spool.add_report(report(at)).expect("appended");
    }
    let held = spool.samples();
    assert!(held.first > 50 && held.next == 100, "{held:?}");
    assert_eq!(spool.take_skipped(), Some(Span { first: 0, next: held.first }));
    assert_eq!(spool.take_skipped(), None);
    assert!(spool.bytes().1 <= SMALL.samples_bytes_max);
    let oldest = spool.report_from(0).expect("reads").expect("held");
    assert_eq!((oldest.number, oldest.at_ms), (held.first, held.first as i64));
    assert_eq!(text(&mut spool, 0).as_deref(), Some("kept"));
}

#[test]
fn a_full_disk_gives_up_samples_for_a_matter() {
    let disk = MemoryDisk::new();
    let mut spool = open(&disk);
    spool.add_report(report(1)).expect("appended");
    disk.set_full(true);
    let said = spool.add_matter(5, event("a")).expect_err("the disk is full").to_string();
    assert!(said.starts_with("append in the spool, file \"matters-"), "{said}");
    assert_eq!(spool.take_skipped(), Some(Span { first: 0, next: 1 }));
    disk.set_full(false);
    add(&mut spool, &["b"]);
    assert_eq!(text(&mut spool, 0).as_deref(), Some("b"), "what was refused took no number");
}

#[test]
fn a_crash_skips_sample_numbers_and_never_uses_one_again() {
    let disk = MemoryDisk::new();
    let mut spool = open(&disk);
    for at in 0..3 {
        spool.add_report(report(at)).expect("appended");
    }
    drop(spool);
    disk.crash(3);
    let mut spool = open(&disk);
    let skipped = spool.take_skipped().expect("some numbers are skipped");
    let number = spool.add_report(report(9)).expect("appended");
    assert!(number >= 3 && skipped.next == number, "{number}, skipped {skipped:?}");
    let mut from = 0;
    while let Some(report) = spool.report_from(from).expect("reads") {
        assert!(report.number == number || report.at_ms == report.number as i64);
        from = report.number + 1;
    }
    assert_eq!(from, number + 1);
}

#[test]
fn renumbering_keeps_everything_under_a_new_id() {
    let disk = MemoryDisk::new();
    let mut spool = open(&disk);
    add(&mut spool, &["a", "b", "c"]);
    spool.acked(1, 0).expect("acked");
    let before = spool.matter(2).expect("reads").expect("held").content_hash();
    spool.renumber([9; 16]).expect("renumbered");
    drop(spool);
    let mut spool = open(&disk);
    assert_eq!(spool.id(), [9; 16]);
    assert_eq!(text(&mut spool, 1).as_deref(), Some("b"));
    assert_eq!(spool.matter(2).expect("reads").expect("held").content_hash(), before);
}

#[test]
fn a_damaged_record_is_told_in_its_place() {
    let disk = MemoryDisk::new();
    let mut spool = open(&disk);
    add(&mut spool, &["a", "b", "c"]);
    disk.flip("matters-000000000000.seg", 20);
    assert_eq!(text(&mut spool, 0).as_deref(), Some("lost"));
    assert_eq!(text(&mut spool, 1).as_deref(), Some("b"));
}

#[test]
fn a_lost_state_means_a_new_id_and_loses_nothing() {
    let disk = MemoryDisk::new();
    let mut spool = open(&disk);
    add(&mut spool, &["a"]);
    drop(spool);
    disk.flip("state", 9);
    let mut spool = Spool::open(disk, SMALL, [7; 16]).expect("opened");
    assert_eq!(spool.id(), [7; 16]);
    assert_eq!(text(&mut spool, 0).as_deref(), Some("a"));
    assert_eq!(spool.repairs.len(), 1);
}

#[test]
fn real_files_hold_it_and_one_process_at_a_time() {
    let folder = tempfile::tempdir().expect("a folder");
    let disk = FolderDisk::open(folder.path()).expect("opened");
    let again = FolderDisk::open(folder.path()).err().expect("refused");
    assert_eq!(again.to_string(), "another agent runs over the same state directory");
    let mut spool = Spool::open(disk, SMALL, [1; 16]).expect("opened");
    for number in 0..20 {
        spool.add_matter(number, event("real")).expect("appended");
    }
    spool.sync().expect("synced");
    spool.add_report(report(1)).expect("appended");
    drop(spool);
    let torn = folder.path().join("matters-000000000000.seg");
    let mut bytes = std::fs::read(&torn).expect("a segment");
    bytes.truncate(bytes.len() - 3);
    std::fs::write(&torn, bytes).expect("torn");
    let disk = FolderDisk::open(folder.path()).expect("opened");
    let mut spool = Spool::open(disk, SMALL, [1; 16]).expect("opened");
    assert_eq!(spool.matters(), Span { first: 0, next: 20 });
    assert_eq!(spool.repairs.len(), 1, "{:?}", spool.repairs);
    let lost = (0..20).filter(|n| spool.matter(*n).expect("reads").expect("held").at_ms != *n as i64).count();
    assert_eq!(lost, 1, "the torn record alone");
    assert_eq!(spool.report_from(0).expect("reads").expect("held").at_ms, 1);
}

#[test]
fn what_was_never_sent_is_known_until_the_controller_answers() {
    let disk = MemoryDisk::new();
    let unsent = |matters, samples| Some(Unsent { matters, samples });
    let mut spool = open(&disk);
    assert_eq!(spool.unsent(), unsent(0, 0));
    add(&mut spool, &["a"]);
    spool.add_report(report(1)).expect("appended");
    spool.close().expect("closed");
    let mut spool = open(&disk);
    assert_eq!(spool.unsent(), unsent(0, 0), "the process before was not answered");
    spool.answered().expect("written");
    assert_eq!(spool.unsent(), None);
    add(&mut spool, &["b"]);
    spool.close().expect("closed");
    let mut spool = open(&disk);
    assert_eq!(spool.unsent(), unsent(2, 1), "the process before was answered, and may have sent all that it had");
    spool.answered().expect("written");
    spool.acked(1, 1).expect("acked");
    spool.renumber([9; 16]).expect("renumbered");
    assert_eq!(spool.unsent(), unsent(1, 1), "of what is held nothing was sent under the new id");
    let snapshot = disk.cloned();
    spool.answered().expect("written");
    assert_eq!(open(&snapshot).unsent(), unsent(1, 1));
}

#[test]
fn what_was_given_up_before_it_was_sent_is_held_by_nobody() {
    let mut spool = open(&MemoryDisk::new());
    for at in 0..100 {
        spool.add_report(report(at)).expect("appended");
    }
    let first = spool.samples().first;
    assert!(first > 0, "more than fits");
    assert_eq!(spool.unsent(), Some(Unsent { matters: 0, samples: first }));
}

#[test]
fn that_the_controller_answered_holds_though_the_disk_does_not_take_it() {
    let disk = MemoryDisk::new();
    let mut spool = open(&disk);
    disk.fail_at(1);
    assert!(spool.answered().is_err());
    assert_eq!(spool.unsent(), None, "what is sent from now on is sent");
    disk.fail_at(0);
    spool.close().expect("closed");
    assert_eq!(open(&disk).unsent(), Some(Unsent { matters: 0, samples: 0 }), "of this start");
}
