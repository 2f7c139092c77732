//! Software RAID: what each array's state is, which of its disks work and how far it is synchronised, from `/proc/mdstat`.
//! [Source: kernel, drivers/md/md.c, md_seq_show and status_resync; md(4)]

use watchkeep_protocol::MetricKind::Gauge;

use super::CollectError;
use super::families::{Families, Family, Sparse};
use super::proc_text::ProcText;
use crate::root::Root;

const DISKS: Family<'_> =
    Family { name: "node_md_disks", kind: Gauge, help: "Number of active/failed/spare disks of device." };
const REQUIRED: Family<'_> =
    Family { name: "node_md_disks_required", kind: Gauge, help: "Total number of disks of device." };
const STATE: Family<'_> = Family { name: "node_md_state", kind: Gauge, help: "Indicates the state of md-device." };
const BLOCKS: Family<'_> = Family { name: "node_md_blocks", kind: Gauge, help: "Total number of blocks on device." };
const SYNCED: Family<'_> =
    Family { name: "node_md_blocks_synced", kind: Gauge, help: "Number of blocks synced on device." };

const STATES: [&str; 5] = ["active", "inactive", "recovering", "resync", "check"];

pub struct Mdadm {
    mdstat: ProcText,
}

impl Mdadm {
    pub fn new(root: &Root) -> Self {
        Self { mdstat: ProcText::new(root.join("proc/mdstat")) }
    }
}

/// One array.
#[derive(Debug, Default, PartialEq)]
struct Array<'a> {
    device: &'a str,
    /// One of [`STATES`].
    state: &'static str,
    active: f64,
    failed: f64,
    spare: f64,
    required: f64,
    blocks: f64,
    synced: f64,
}

impl Sparse for Mdadm {
    fn name(&self) -> &'static str {
        "mdadm"
    }

    fn read(&mut self, families: &mut Families<'_>) -> Result<(), CollectError> {
        let text = self.mdstat.read_if_there()?;
        let arrays = || arrays_of(&text);
        for array in arrays() {
            for (state, count) in [("active", array.active), ("failed", array.failed), ("spare", array.spare)] {
                families.set(DISKS, &[("device", array.device), ("state", state)], count);
            }
        }
        for array in arrays() {
            for state in STATES {
                let is_it = f64::from(u8::from(state == array.state));
                families.set(STATE, &[("device", array.device), ("state", state)], is_it);
            }
        }
        let of = |family: Family<'_>, value: fn(&Array<'_>) -> f64, families: &mut Families<'_>| {
            arrays().for_each(|array| families.set(family, &[("device", array.device)], value(&array)));
        };
        of(REQUIRED, |array| array.required, families);
        of(BLOCKS, |array| array.blocks, families);
        of(SYNCED, |array| array.synced, families);
        Ok(())
    }
}

/// An array is a line `md0 : active …` and the indented ones under it.
fn arrays_of(text: &str) -> impl Iterator<Item = Array<'_>> {
    let mut lines = text.lines().peekable();
    std::iter::from_fn(move || {
        loop {
            let line = lines.next()?;
            let Some((device, rest)) = line.split_once(" : ").filter(|(device, _)| device.starts_with("md")) else {
                continue;
            };
            let mut array = heading(device.trim(), rest);
            while let Some(line) = lines.next_if(|line| line.starts_with([' ', '\t'])) {
                array.read(line.trim());
            }
            return Some(array);
        }
    })
}

/// `active (read-only) raid1 sdb1[1] sda1[0] sdc1[2](S) sdd1[3](F)`: the disks by their marks.
fn heading<'a>(device: &'a str, rest: &str) -> Array<'a> {
    let state = if rest.split_ascii_whitespace().next() == Some("active") { "active" } else { "inactive" };
    let mut array = Array { device, state, ..Array::default() };
    for disk in rest.split_ascii_whitespace().filter(|word| word.contains('[')) {
        match disk.rsplit_once('(').map_or("", |(_, mark)| mark) {
            "F)" => array.failed += 1.0,
            "S)" => array.spare += 1.0,
            _ => array.active += 1.0,
        }
    }
    // Personalities without a count of their own need the disks that they have.
    array.required = array.active;
    array
}

impl Array<'_> {
    fn read(&mut self, line: &str) {
        let mut words = line.split_ascii_whitespace();
        if let (Some(blocks), Some("blocks")) = (words.next().and_then(|word| word.parse().ok()), words.next()) {
            (self.blocks, self.synced) = (blocks, blocks);
            if let Some((required, active)) = line.split_ascii_whitespace().find_map(counts) {
                (self.required, self.active) = (required, active);
            }
        }
        let under_way = ["recovery", "reshape", "resync", "check", "repair"].into_iter().find_map(|action| {
            let (before, rest) = line.split_once(action)?;
            let begins = before.is_empty() || before.ends_with(' ');
            rest.trim_start().strip_prefix('=').filter(|_| begins).map(|rest| (action, rest))
        });
        if let Some((action, rest)) = under_way {
            self.state = match action {
                "recovery" | "reshape" => "recovering",
                "check" => "check",
                _ => "resync",
            };
            // `8.5% (16775552/195310144) …`; `DELAYED` and `PENDING` have synchronised nothing yet.
            let done = rest.split_once('(').and_then(|(_, rest)| rest.split_once('/'));
            self.synced = done.and_then(|(done, _)| done.parse().ok()).unwrap_or(0.0);
        }
    }
}

/// `[3/2]`: disks that the array needs, and that work.
fn counts(word: &str) -> Option<(f64, f64)> {
    let (required, active) = word.strip_prefix('[')?.strip_suffix(']')?.split_once('/')?;
    Some((required.parse().ok()?, active.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::testing::{SparseStage, TempFiles};

    fn array(text: &str) -> Array<'_> {
        arrays_of(text).next().expect("is an array")
    }

    #[test]
    fn an_array_that_rebuilds_has_a_failed_disk_and_a_place() {
        let text = "Personalities : [raid1]\n\
                    md127 : active raid1 sdc1[2] sdb1[1](F) sda1[0] sdd1[3](S)\n      976630464 blocks super 1.2 [2/1] [U_]\n      \
                    [==>..]  recovery = 12.6% (123456789/976630464) finish=85.1min speed=167000K/sec\n      \
                    bitmap: 1/8 pages [4KB], 65536KB chunk\n\nunused devices: <none>\n";
        let expected = Array {
            device: "md127",
            state: "recovering",
            active: 1.0,
            failed: 1.0,
            spare: 1.0,
            required: 2.0,
            blocks: 976_630_464.0,
            synced: 123_456_789.0,
        };
        assert_eq!(arrays_of(text).collect::<Vec<_>>(), [expected]);
    }

    #[test]
    fn what_an_array_does_is_its_state() {
        for (line, state, synced) in [
            ("  resync=DELAYED", "resync", 0.0),
            ("\tresync=PENDING", "resync", 0.0),
            ("  [>...]  check =  0.9% (9/100) finish=1min", "check", 9.0),
            ("  [>...]  repair =  0.9% (9/100) finish=1min", "resync", 9.0),
            ("  [>...]  reshape =  0.9% (9/100) finish=1min", "recovering", 9.0),
            ("  [>...]  recovery = (torn", "recovering", 0.0),
            ("  bitmap: 0/1 pages [0KB], 65536KB chunk", "active", 100.0),
            ("  check", "active", 100.0),
        ] {
            let text = format!("md0 : active raid1 a[0] b[1]\n  100 blocks [2/2] [UU]\n{line}\n");
            assert_eq!((array(&text).state, array(&text).synced), (state, synced), "{line}");
        }
        assert_eq!(array("md0 : inactive sda[0](S)\n").state, "inactive");
        assert_eq!(array("md0 : broken raid0 sda[0]\n").state, "inactive", "it takes no writes any more");
    }

    #[test]
    fn a_file_that_is_torn_gives_what_it_says_and_a_host_without_raid_nothing() {
        let files = TempFiles::new();
        files.write("proc/mdstat", "Personalities : [raid1]\nmd0 : act");
        let seen = SparseStage::of(Mdadm::new(&files.root())).read();
        assert_eq!(seen.value("node_md_state", &[("device", "md0"), ("state", "inactive")]), Some(1.0));
        files.write("proc/mdstat", "Personalities : \nunused devices: <none>\n");
        assert!(SparseStage::of(Mdadm::new(&files.root())).read().lines().is_empty());
        assert!(SparseStage::of(Mdadm::new(&TempFiles::new().root())).fault().starts_with("this kernel has no"));
    }
}
