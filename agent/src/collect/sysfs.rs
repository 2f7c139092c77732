//! Attributes of sysfs: small files of one line, held open and read with one call, and the folders they lie in.
//!
//! The kernel prints an attribute anew at each read from its start, so an open file is read again with `pread` and costs a
//! fifth of opening it. A device that comes back under its name has new files: the old ones say `ENODEV` and are opened
//! again. [Source: kernel, Documentation/filesystems/sysfs.rst]

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::CollectError;

/// Attributes held open by the whole agent; more are opened for each reading. systemd gives a unit 1,024 descriptors.
const HELD_MAX: usize = 384;
/// An attribute is a page at most; those that are read here are a line of a few words.
const LINE_BYTES: usize = 256;

static HELD: AtomicUsize = AtomicUsize::new(0);

/// One small file. Who reads it knows the folder and the name, so that hundreds of them do not keep hundreds of paths.
#[derive(Default)]
pub struct Attribute(Option<Held>);

/// An open file that is counted.
struct Held(File);

impl Held {
    fn keep(file: File) -> Option<Self> {
        let kept = HELD.fetch_add(1, Ordering::Relaxed) < HELD_MAX;
        let held = Self(file);
        // Dropping what is one too many takes it off again.
        kept.then_some(held)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        HELD.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The first line of an attribute.
pub struct Line {
    bytes: [u8; LINE_BYTES],
    length: usize,
}

impl Line {
    /// The words without the space around them; empty where they are not UTF-8.
    pub fn text(&self) -> &str {
        let text = std::str::from_utf8(&self.bytes[..self.length]).unwrap_or_default();
        text.lines().next().unwrap_or_default().trim()
    }

    /// A number as the kernel writes it: decimal, or hexadecimal after `0x`.
    pub fn number(&self) -> Option<f64> {
        number(self.text())
    }
}

/// See [`Line::number`].
pub fn number(text: &str) -> Option<f64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok().map(|value| value as f64),
        None => match text.parse::<i64>() {
            Ok(value) => Some(value as f64),
            // Counters of 64 bits without a sign, and the few that have a fraction; "nan" and "inf" are no numbers here.
            Err(_) => text.parse::<f64>().ok().filter(|value| value.is_finite()),
        },
    }
}

impl Attribute {
    /// The first line; `None` where it cannot be read, as the speed of a link that is down.
    pub fn line(&mut self, folder: &Path, name: &str) -> Option<Line> {
        self.try_line(folder, name).ok()
    }

    /// The first line of a file that is read too seldom to be held open.
    pub fn once(folder: &Path, name: &str) -> Option<Line> {
        let mut bytes = [0; LINE_BYTES];
        let length = File::open(folder.join(name)).ok()?.read_at(&mut bytes, 0).ok()?;
        Some(Line { bytes, length })
    }

    pub fn number(&mut self, folder: &Path, name: &str) -> Option<f64> {
        self.line(folder, name)?.number()
    }

    fn try_line(&mut self, folder: &Path, name: &str) -> io::Result<Line> {
        let mut bytes = [0; LINE_BYTES];
        if let Some(Held(file)) = &self.0 {
            match file.read_at(&mut bytes, 0) {
                Ok(length) => return Ok(Line { bytes, length }),
                Err(fault) if says_nothing(&fault) => return Err(fault),
                Err(_) => self.0 = None,
            }
        }
        let file = File::open(folder.join(name))?;
        let read = file.read_at(&mut bytes, 0);
        if read.as_ref().map_or_else(says_nothing, |_| true) {
            self.0 = Held::keep(file);
        }
        read.map(|length| Line { bytes, length })
    }
}

/// The device is there and has no value for this now (`EINVAL`), as the speed of a link that is down: opening the file again
/// would bring no other.
fn says_nothing(fault: &io::Error) -> bool {
    fault.kind() == io::ErrorKind::InvalidInput
}

/// How often a folder of hardware is listed, and what a collector did not want is shown to it again: once in so many looks.
const SELDOM: u32 = 4;

/// A folder of the kernel, and what a collector keeps of each of its entries between readings.
pub struct Folder<T> {
    path: PathBuf,
    entries: Vec<(String, T)>,
    names: Vec<String>,
    /// What the collector did not want; sorted.
    refused: Vec<String>,
    looks: u32,
    /// Listed once in so many looks.
    every: u32,
    /// It was not there when it was listed last.
    missing: bool,
}

impl<T> Folder<T> {
    /// Listed with each look.
    pub fn new(path: PathBuf) -> Self {
        let (entries, names, refused) = (Vec::new(), Vec::new(), Vec::new());
        Self { path, entries, names, refused, looks: 0, every: 1, missing: false }
    }

    /// Listed once in [`SELDOM`] looks: what comes with hardware. An entry that has gone meanwhile cannot be read, and is
    /// let go with the next listing.
    pub fn seldom(path: PathBuf) -> Self {
        Self { every: SELDOM, ..Self::new(path) }
    }

    /// The entries that are there now, by name; `open` is asked for each that is new, and says `None` of what is no concern
    /// of the collector (and is asked again after a while).
    ///
    /// # Errors
    /// Unavailable where the folder is not there; else it cannot be read.
    pub fn look(&mut self, open: impl FnMut(&Path, &str) -> Option<T>) -> Result<&mut [(String, T)], CollectError> {
        let due = self.looks.is_multiple_of(self.every);
        if self.looks.is_multiple_of(SELDOM) {
            self.refused.clear();
        }
        self.looks = self.looks.wrapping_add(1);
        if due {
            self.list(open)?;
        }
        if self.missing { Err(self.unavailable()) } else { Ok(&mut self.entries) }
    }

    fn list(&mut self, mut open: impl FnMut(&Path, &str) -> Option<T>) -> Result<(), CollectError> {
        self.names.clear();
        self.missing = false;
        if let Err(source) = names(&self.path, &mut self.names) {
            self.entries.clear();
            self.missing = source.kind() == io::ErrorKind::NotFound;
            let path = self.path.clone();
            return Err(if self.missing { self.unavailable() } else { CollectError::Read { path, source } });
        }
        let (names, refused) = (&self.names, &mut self.refused);
        self.entries.retain(|(name, _)| names.binary_search(name).is_ok());
        for name in names {
            let Err(place) = self.entries.binary_search_by(|(known, _)| known.cmp(name)) else { continue };
            let Err(refused_place) = refused.binary_search(name) else { continue };
            match open(&self.path.join(name), name) {
                Some(entry) => self.entries.insert(place, (name.clone(), entry)),
                None => refused.insert(refused_place, name.clone()),
            }
        }
        Ok(())
    }

    fn unavailable(&self) -> CollectError {
        CollectError::Unavailable(format!("this host has no \"{}\"", self.path.display()))
    }
}

/// The names in a folder, sorted; those that are not UTF-8 are left out.
fn names(path: &Path, names: &mut Vec<String>) -> io::Result<()> {
    names.extend(std::fs::read_dir(path)?.flatten().filter_map(|entry| entry.file_name().into_string().ok()));
    names.sort_unstable();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::testing::TempFiles;

    #[test]
    fn a_number_is_what_the_kernel_prints() {
        for (text, expected) in [
            ("1500", Some(1500.0)),
            ("-1", Some(-1.0)),
            ("0x1003", Some(4099.0)),
            ("18446744073709551615", Some(18_446_744_073_709_551_615.0)),
            ("0.25", Some(0.25)),
            ("", None),
            ("nan", None),
            ("inf", None),
            ("unknown", None),
            ("0x", None),
            ("12 V", None),
        ] {
            assert_eq!(number(text), expected, "{text:?}");
        }
    }

    #[test]
    fn an_attribute_is_read_anew_and_opened_again_where_its_file_is_another() {
        let files = TempFiles::new();
        let folder = files.root().join("");
        files.write("a", "7\nsecond line\n");
        let mut attribute = Attribute::default();
        assert_eq!(attribute.number(&folder, "a"), Some(7.0));
        files.write("a", "  up \n");
        assert_eq!(attribute.line(&folder, "a").map(|line| line.text().to_owned()).as_deref(), Some("up"));
        let mut none = Attribute::default();
        assert_eq!(none.number(&folder, "b"), None);
        files.write("b", "1");
        assert_eq!(none.number(&folder, "b"), Some(1.0), "it came later");
    }

    #[test]
    fn a_line_is_bounded_and_bytes_that_are_no_text_are_nothing() {
        let files = TempFiles::new();
        let folder = files.root().join("");
        files.write("long", &"x".repeat(LINE_BYTES * 2));
        assert_eq!(Attribute::default().line(&folder, "long").expect("is read").text().len(), LINE_BYTES);
        std::fs::write(folder.join("bytes"), [0xff, 0xfe]).expect("is written");
        assert_eq!(Attribute::default().line(&folder, "bytes").expect("is read").text(), "");
    }

    #[test]
    fn a_folder_keeps_what_stays_and_asks_for_what_is_new() {
        let files = TempFiles::new();
        files.write("c/b/x", "");
        files.write("c/a/x", "");
        let mut folder: Folder<u32> = Folder::new(files.root().join("c"));
        let mut next = 0;
        let mut look = |folder: &mut Folder<u32>| {
            let open = |_: &Path, name: &str| {
                next += 1;
                (name != "skip").then_some(next)
            };
            folder.look(open).expect("is there").iter().map(|(name, kept)| format!("{name}{kept}")).collect::<Vec<_>>()
        };
        assert_eq!(look(&mut folder), ["a1", "b2"]);
        files.write("c/aa/x", "");
        files.write("c/skip/x", "");
        std::fs::remove_dir_all(files.root().join("c/a")).expect("is removed");
        assert_eq!(look(&mut folder), ["aa3", "b2"]);
        assert_eq!(look(&mut folder), ["aa3", "b2"]);
        assert_eq!(look(&mut folder), ["aa3", "b2"]);
        assert_eq!(look(&mut folder), ["aa3", "b2"]);
        assert_eq!(next, 5, "what was refused is shown again once in a while");
        let fault = Folder::<()>::new(files.root().join("none")).look(|_, _| None).map(|_| ()).expect_err("not there");
        assert!(fault.to_string().starts_with("this host has no \""), "{fault}");
    }

    #[test]
    fn a_folder_of_hardware_is_listed_seldom() {
        let files = TempFiles::new();
        let mut folder: Folder<()> = Folder::seldom(files.root().join("c"));
        let mut look = || folder.look(|_, _| Some(())).map(|entries| entries.len()).ok();
        assert_eq!(look(), None);
        files.write("c/a/x", "");
        let seen: Vec<_> = (0..SELDOM).map(|_| look()).collect();
        assert_eq!(seen, [None, None, None, Some(1)], "it came, and was found after a while");
        std::fs::remove_dir_all(files.root().join("c")).expect("is removed");
        let seen: Vec<_> = (0..SELDOM).map(|_| look()).collect();
        assert_eq!(seen, [Some(1), Some(1), Some(1), None]);
    }
}
