//! How far the host's local time is from UTC, and what that is called: `/etc/localtime`.
//!
//! The file is read once in [`SLOW_READINGS`]; which of its offsets is in force is asked of the clock each time.
//! [Source: RFC 9636, TZif; POSIX.1-2024, 8.3, for the rule at its end]

use std::time::{SystemTime, UNIX_EPOCH};

use watchkeep_protocol::MetricKind::Gauge;

use super::CollectError;
use super::families::{Families, Family, Sparse};
use super::zone_rule::Rule;
use crate::root::Root;

const OFFSET: Family<'_> =
    Family { name: "node_time_zone_offset_seconds", kind: Gauge, help: "System time zone offset in seconds." };
const SLOW_READINGS: u32 = 20;
/// The largest files of the tz database have 4 kB.
const BYTES_MAX: usize = 64 << 10;

pub struct Zone {
    root: Root,
    file: Option<Offsets>,
    readings: u32,
}

/// An offset from UTC, and its name.
#[derive(Clone, Debug, PartialEq)]
pub struct Offset {
    pub seconds: i32,
    pub name: String,
}

/// What the file says.
#[derive(Debug)]
struct Offsets {
    /// Before the first change.
    first: Offset,
    /// From when on, Unix seconds rising, which offset is in force.
    changes: Vec<(i64, Offset)>,
    /// What goes on for ever after the last change.
    rule: Option<Rule>,
}

impl Zone {
    pub fn new(root: &Root) -> Self {
        Self { root: root.clone(), file: None, readings: 0 }
    }
}

impl Sparse for Zone {
    fn name(&self) -> &'static str {
        "time_zone"
    }

    fn read(&mut self, families: &mut Families<'_>) -> Result<(), CollectError> {
        if self.readings.is_multiple_of(SLOW_READINGS) {
            let bytes = std::fs::read(self.root.join("etc/localtime")).ok().filter(|bytes| bytes.len() <= BYTES_MAX);
            // A host without the file keeps UTC. [Source: localtime(5)]
            self.file = match bytes {
                Some(bytes) => Offsets::read(&bytes),
                None => {
                    let first = Offset { seconds: 0, name: "UTC".to_owned() };
                    Some(Offsets { first, changes: Vec::new(), rule: None })
                }
            };
        }
        self.readings = self.readings.wrapping_add(1);
        let Some(file) = &self.file else {
            return Err(CollectError::Unavailable("/etc/localtime is no TZif file that is understood".to_owned()));
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64);
        let offset = file.at(now);
        families.set(OFFSET, &[("time_zone", &offset.name)], f64::from(offset.seconds));
        Ok(())
    }
}

impl Offsets {
    fn at(&self, now: i64) -> &Offset {
        let past = self.changes.partition_point(|(from, _)| *from <= now);
        match (&self.rule, past) {
            (Some(rule), _) if past == self.changes.len() => rule.at(now),
            (_, 0) => &self.first,
            _ => &self.changes[past - 1].1,
        }
    }

    /// The file's second part, which has 64 bits; files without one are older than 2005.
    fn read(bytes: &[u8]) -> Option<Self> {
        let (first, rest) = Part::split(bytes, 4)?;
        let (part, footer) = Part::split(rest, 8).filter(|_| first.version >= b'2')?;
        let rule = std::str::from_utf8(footer).ok()?.strip_prefix('\n')?.split('\n').next()?;
        part.offsets(if rule.is_empty() { None } else { Some(Rule::read(rule)?) })
    }
}

/// A header and its block of data, with its pieces by what they hold.
struct Part<'a> {
    version: u8,
    times: &'a [u8],
    types: &'a [u8],
    /// Six bytes each: offset, whether it is summer time, where its name begins.
    infos: &'a [u8],
    names: &'a [u8],
}

impl<'a> Part<'a> {
    fn split(bytes: &'a [u8], time_bytes: usize) -> Option<(Self, &'a [u8])> {
        let header = bytes.get(..44).filter(|header| header.starts_with(b"TZif"))?;
        let count = |place: usize| {
            let bytes: [u8; 4] = header[20 + 4 * place..][..4].try_into().ok()?;
            usize::try_from(u32::from_be_bytes(bytes)).ok().filter(|count| *count <= BYTES_MAX)
        };
        let (ut, standard, leaps) = (count(0)?, count(1)?, count(2)?);
        let (times, types, names) = (count(3)?, count(4)?, count(5)?);
        let mut rest = &bytes[44..];
        let mut take = |length: usize| {
            let (piece, left) = rest.split_at_checked(length)?;
            rest = left;
            Some(piece)
        };
        let part = Self {
            version: header[4],
            times: take(times * time_bytes)?,
            types: take(times)?,
            infos: take(types * 6)?,
            names: take(names)?,
        };
        take(leaps * (time_bytes + 4) + standard + ut)?;
        Some((part, rest))
    }

    fn offsets(&self, rule: Option<Rule>) -> Option<Offsets> {
        let times = self.times.chunks_exact(8).map(|time| time.try_into().map(i64::from_be_bytes).unwrap_or_default());
        let change = |(time, place): (i64, &u8)| Some((time, self.offset(usize::from(*place))?));
        let changes = times.zip(self.types).map(change).collect::<Option<Vec<_>>>()?;
        Some(Offsets { first: self.offset(0)?, changes, rule })
    }

    fn offset(&self, place: usize) -> Option<Offset> {
        let info = self.infos.chunks_exact(6).nth(place)?;
        let seconds = i32::from_be_bytes(info[..4].try_into().ok()?);
        let name = self.names.get(usize::from(info[5])..)?.split(|byte| *byte == 0).next()?;
        Some(Offset { seconds, name: std::str::from_utf8(name).ok()?.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::testing::{SparseStage, TempFiles};

    /// A file of the second version whose first part is empty.
    fn file(changes: &[(i64, u8)], infos: &[(i32, u8)], names: &[u8], rule: &str) -> Vec<u8> {
        let header = |times: usize, types: usize, names: usize| {
            let counts = [0, 0, 0, times, types, names].map(|count| (count as u32).to_be_bytes());
            [b"TZif2".as_slice(), &[0; 15], counts.as_flattened()].concat()
        };
        let mut bytes = header(0, 1, 1);
        bytes.extend([0; 7]);
        bytes.extend(header(changes.len(), infos.len(), names.len()));
        changes.iter().for_each(|(time, _)| bytes.extend(time.to_be_bytes()));
        bytes.extend(changes.iter().map(|(_, place)| *place));
        infos.iter().for_each(|(seconds, name)| bytes.extend([&seconds.to_be_bytes()[..], &[0, *name]].concat()));
        bytes.extend(names);
        bytes.extend(format!("\n{rule}\n").bytes());
        bytes
    }

    #[test]
    fn the_offset_in_force_is_that_of_the_last_change_and_then_the_rule_s() {
        let bytes =
            file(&[(100, 1), (200, 0)], &[(3_600, 0), (7_200, 4)], b"CET\0CEST\0", "CET-1CEST,M3.5.0,M10.5.0/3");
        let offsets = Offsets::read(&bytes).expect("is read");
        let at = |now| (offsets.at(now).seconds, offsets.at(now).name.as_str());
        assert_eq!([at(99), at(100), at(199)], [(3_600, "CET"), (7_200, "CEST"), (7_200, "CEST")]);
        // 15 July and 15 December 2026.
        assert_eq!([at(1_784_116_800), at(1_797_336_000)], [(7_200, "CEST"), (3_600, "CET")]);
    }

    #[test]
    fn a_file_that_is_torn_or_no_such_file_is_none() {
        let whole = file(&[(100, 1)], &[(0, 0), (60, 0)], b"A\0", "");
        assert!(Offsets::read(&whole).is_some());
        for end in 0..whole.len() - 2 {
            assert!(Offsets::read(&whole[..end]).is_none(), "{end}");
        }
        for (changes, infos, names) in [(&[(1, 9)][..], &[(0, 0)][..], &b"A\0"[..]), (&[], &[(0, 200)], b"A\0")] {
            assert!(Offsets::read(&file(changes, infos, names, "")).is_none(), "{changes:?} {infos:?}");
        }
        assert!(Offsets::read(&file(&[], &[(0, 0)], b"A\0", "nonsense")).is_none());
        assert!(Offsets::read(&file(&[], &[(0, 0)], &[0xff, 0], "")).is_none());
        let huge = [b"TZif2".as_slice(), &[0; 15], &[0xff; 24]].concat();
        assert!(Offsets::read(&huge).is_none());
    }

    #[test]
    fn a_host_without_the_file_keeps_utc() {
        let files = TempFiles::new();
        let lines = SparseStage::of(Zone::new(&files.root())).read().lines();
        assert_eq!(lines, ["node_time_zone_offset_seconds{time_zone=\"UTC\"} 0"]);
        files.write("etc/localtime", "no such file");
        assert!(SparseStage::of(Zone::new(&files.root())).fault().starts_with("/etc/localtime is no TZif"));
    }
}
