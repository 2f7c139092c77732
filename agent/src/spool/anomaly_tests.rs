//! The n-th operation of the disk fails, for n = 1, 2, 3 … until none is left; and the machine crashes at each point.

use std::collections::BTreeMap;

use super::memory::MemoryDisk;
use super::tests::{event, report};
use super::{Limits, Spool, SpoolError};

const SMALL: Limits = Limits { segment_bytes: 150, samples_bytes_max: 600 };

/// What the world was told, and what it must still find.
#[derive(Default)]
struct World {
    /// (spool id, stream, number) → content, once it was sent.
    sent: BTreeMap<([u8; 16], char, u64), [u8; 32]>,
    /// Texts of matters that a sync promised.
    promised: Vec<String>,
    /// Texts whose number was acknowledged.
    heard: Vec<String>,
    added: Vec<String>,
    ids: u8,
}

impl World {
    /// Sends all that may be sent, as after a resync.
    fn send_all(&mut self, spool: &mut Spool<MemoryDisk>) -> Result<(), SpoolError> {
        let span = spool.matters();
        for number in span.first..span.next {
            let matter = spool.matter(number)?.expect("every number of the span is held");
            self.note(spool.id(), 'm', number, matter.content_hash());
        }
        let mut from = 0;
        while let Some(report) = spool.report_from(from)? {
            self.note(spool.id(), 's', report.number, report.content_hash());
            from = report.number + 1;
        }
        Ok(())
    }

    fn note(&mut self, id: [u8; 16], stream: char, number: u64, content: [u8; 32]) {
        let known = *self.sent.entry((id, stream, number)).or_insert(content);
        assert_eq!(known, content, "{stream}{number} was sent with other content");
    }

    fn matter(&mut self, spool: &mut Spool<MemoryDisk>, text: &str) {
        if spool.add_matter(1, event(text)).is_ok() {
            self.added.push(text.to_owned());
        }
    }

    fn sync(&mut self, spool: &mut Spool<MemoryDisk>) {
        if spool.sync().is_ok() {
            self.promised.append(&mut self.added);
        }
    }

    fn ack(&mut self, spool: &mut Spool<MemoryDisk>, count: u64) {
        let span = spool.matters();
        let mark = span.next.min(span.first + count);
        for number in span.first..mark {
            self.heard.push(text_of(spool, number));
        }
        let _ = spool.acked(mark, spool.samples().first + 1);
    }

    /// Everything promised is either acknowledged or held, once.
    fn check(&mut self, spool: &mut Spool<MemoryDisk>) {
        self.send_all(spool).expect("the disk works again");
        let span = spool.matters();
        let held: Vec<String> = (span.first..span.next).map(|number| text_of(spool, number)).collect();
        for text in &self.promised {
            let times = held.iter().filter(|held| *held == text).count();
            let heard = self.heard.contains(text);
            assert!(times == 1 || heard, "\"{text}\" was promised and is held {times} times");
            assert!(times <= 1, "\"{text}\" is held {times} times");
        }
    }
}

fn text_of(spool: &mut Spool<MemoryDisk>, number: u64) -> String {
    match spool.matter(number).expect("reads").expect("held").body {
        Some(watchkeep_protocol::MatterBody::Event(event)) => event.text,
        // Never promised, and its neighbours in the next segment outlived the crash.
        Some(watchkeep_protocol::MatterBody::Status(status)) if status.what == "lost" => status.detail,
        other => panic!("matter {number} is {other:?}"),
    }
}

/// One life of an agent over the disk; goes on after each fault as the agent does.
fn life(world: &mut World, disk: &MemoryDisk, name: &str, clean: bool) {
    world.ids += 1;
    let Ok(mut spool) = Spool::open(disk.clone(), SMALL, [world.ids; 16]) else { return };
    world.added.clear();
    for round in 0..6 {
        for part in 0..3 {
            world.matter(&mut spool, &format!("{name}.{round}.{part}"));
        }
        world.sync(&mut spool);
        let _ = spool.add_report(report(i64::from(world.ids) * 100 + round));
        world.send_all(&mut spool).expect("reading does not fail here");
        world.ack(&mut spool, 2);
        if round == 3 {
            world.ids += 1;
            let _ = spool.renumber([world.ids; 16]);
        }
    }
    if clean {
        let _ = spool.close();
    }
}

#[test]
fn whatever_operation_fails_nothing_promised_is_lost_and_no_number_means_two_things() {
    let mut n = 0;
    loop {
        n += 1;
        let disk = MemoryDisk::new();
        let mut world = World::default();
        disk.fail_at(n);
        life(&mut world, &disk, "first", n % 2 == 0);
        let reached = disk.operations() >= n;
        disk.fail_at(0);
        if n % 3 > 0 {
            disk.crash(n);
        }
        life(&mut world, &disk, "second", true);
        let mut spool = Spool::open(disk, SMALL, [99; 16]).expect("the disk works again");
        world.check(&mut spool);
        if !reached {
            break;
        }
    }
    assert!(n > 40, "only {n} operations were there to fail");
}

#[test]
fn a_crash_after_any_operation_loses_nothing_promised() {
    for seed in 0..200 {
        let disk = MemoryDisk::new();
        let mut world = World::default();
        for (place, name) in ["first", "second", "third"].into_iter().enumerate() {
            disk.fail_at(1 + (seed * 7 + place as u64 * 13) % 60);
            life(&mut world, &disk, name, false);
            disk.fail_at(0);
            disk.crash(seed * 31 + place as u64);
        }
        let mut spool = Spool::open(disk, SMALL, [99; 16]).expect("the disk works again");
        world.check(&mut spool);
    }
}
