//! Which system this is, as labels of series that are always 1, and what time it has.

use std::time::{SystemTime, UNIX_EPOCH};

use watchkeep_protocol::MetricKind::Gauge;
use watchkeep_protocol::layout::Template;

use super::table::Table;
use super::{CollectError, Collector, Given, metric, template};
use crate::root::Root;

/// `node_uname_info`.
pub struct Uname;

/// `node_os_info`, from os-release(5).
pub struct Os {
    root: Root,
    readings: u32,
    /// The labels' values.
    words: [String; OS_FIELDS.len()],
}

/// `node_os_version`: what of `VERSION_ID` makes a number.
pub struct OsVersion {
    root: Root,
    readings: u32,
    /// The labels' values and the number.
    version: Option<([String; 3], f64)>,
}

/// An upgrade of the system is seen within so many readings.
const SLOW_READINGS: u32 = 20;

/// `node_time_seconds`: what the host's clock says, right or wrong.
pub struct Time;

const UNAME_LABELS: [&str; 6] = ["domainname", "machine", "nodename", "release", "sysname", "version"];
/// Label and field.
const OS_FIELDS: [(&str, &str); 12] = [
    ("build_id", "BUILD_ID"),
    ("id", "ID"),
    ("id_like", "ID_LIKE"),
    ("image_id", "IMAGE_ID"),
    ("image_version", "IMAGE_VERSION"),
    ("name", "NAME"),
    ("pretty_name", "PRETTY_NAME"),
    ("variant", "VARIANT"),
    ("variant_id", "VARIANT_ID"),
    ("version", "VERSION"),
    ("version_codename", "VERSION_CODENAME"),
    ("version_id", "VERSION_ID"),
];

impl Os {
    pub fn new(root: &Root) -> Self {
        Self { root: root.clone(), readings: 0, words: Default::default() }
    }
}

impl OsVersion {
    pub fn new(root: &Root) -> Self {
        Self { root: root.clone(), readings: 0, version: None }
    }
}

impl Collector for Uname {
    fn template(&self) -> Template {
        let help = "Labeled system information as provided by the uname system call.";
        template("uname", &UNAME_LABELS, vec![metric("node_uname_info", &[], Gauge, help)])
    }

    fn read(&mut self, _: &Given<'_>, table: &mut Table<'_>) -> Result<(), CollectError> {
        let says = rustix::system::uname();
        let words =
            [says.domainname(), says.machine(), says.nodename(), says.release(), says.sysname(), says.version()];
        let words = words.map(|word| word.to_string_lossy());
        if let Some(mut cells) = table.row(&words.each_ref().map(AsRef::as_ref)) {
            cells.set(0, 1.0);
        }
        Ok(())
    }
}

impl Collector for Os {
    fn template(&self) -> Template {
        let help = "A metric with a constant '1' value labeled by what os-release says.";
        template("os", &OS_FIELDS.map(|(label, _)| label), vec![metric("node_os_info", &[], Gauge, help)])
    }

    fn read(&mut self, _: &Given<'_>, table: &mut Table<'_>) -> Result<(), CollectError> {
        if self.readings.is_multiple_of(SLOW_READINGS) {
            let release = crate::discover::os_release(&self.root);
            self.words = OS_FIELDS.map(|(_, field)| crate::discover::os_field(&release, field).unwrap_or_default());
        }
        self.readings = self.readings.wrapping_add(1);
        if self.words.iter().all(String::is_empty) {
            return Err(CollectError::Unavailable("this host has no os-release".to_owned()));
        }
        if let Some(mut cells) = table.row(&self.words.each_ref().map(String::as_str)) {
            cells.set(0, 1.0);
        }
        Ok(())
    }
}

impl Collector for OsVersion {
    fn template(&self) -> Template {
        let help = "Metric containing the major.minor part of the OS version.";
        template("os_version", &["id", "id_like", "name"], vec![metric("node_os_version", &[], Gauge, help)])
    }

    fn read(&mut self, _: &Given<'_>, table: &mut Table<'_>) -> Result<(), CollectError> {
        if self.readings.is_multiple_of(SLOW_READINGS) {
            let release = crate::discover::os_release(&self.root);
            let says = |field: &str| crate::discover::os_field(&release, field).unwrap_or_default();
            self.version = major_minor(&says("VERSION_ID")).map(|number| (["ID", "ID_LIKE", "NAME"].map(says), number));
        }
        self.readings = self.readings.wrapping_add(1);
        let Some((words, number)) = &self.version else {
            return Err(CollectError::Unavailable("this host's os-release has no VERSION_ID of numbers".to_owned()));
        };
        if let Some(mut cells) = table.row(&words.each_ref().map(String::as_str)) {
            cells.set(0, *number);
        }
        Ok(())
    }
}

/// `12.4.1` is 12.4, `12` is 12, `rolling` is none.
fn major_minor(version: &str) -> Option<f64> {
    let mut parts = version.split('.');
    let major = parts.next().filter(|part| !part.is_empty() && part.bytes().all(|c| c.is_ascii_digit()))?;
    let minor: String = parts.next().unwrap_or_default().chars().take_while(char::is_ascii_digit).collect();
    format!("{major}.{minor}").parse().ok()
}

impl Collector for Time {
    fn template(&self) -> Template {
        let help = "System time in seconds since epoch (1970).";
        template("time", &[], vec![metric("node_time_seconds", &[], Gauge, help)])
    }

    fn read(&mut self, _: &Given<'_>, table: &mut Table<'_>) -> Result<(), CollectError> {
        if let Some(mut cells) = table.row(&[]) {
            cells.set(0, SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::testing::{Stage, TempFiles};

    #[test]
    fn the_system_s_words_are_labels() {
        let files = TempFiles::new();
        files.write("etc/os-release", "ID=debian\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\n");
        let reading = Stage::of(Os::new(&files.root())).read();
        let mut labels = OS_FIELDS.map(|(label, _)| (label, ""));
        for label in &mut labels {
            label.1 = match label.0 {
                "id" => "debian",
                "name" => "Debian GNU/Linux",
                "version_id" => "12",
                _ => "",
            };
        }
        assert_eq!(reading.value("node_os_info", &labels), Some(1.0));
        assert_eq!(Stage::of(Os::new(&TempFiles::new().root())).fault(), "this host has no os-release");
    }

    #[test]
    fn a_version_is_its_first_two_numbers() {
        for (version, expected) in [
            ("12", Some(12.0)),
            ("22.04", Some(22.04)),
            ("3.18.2", Some(3.18)),
            ("8.9-beta", Some(8.9)),
            ("", None),
            ("rolling", None),
            (".5", None),
        ] {
            assert_eq!(major_minor(version), expected, "{version}");
        }
        let files = TempFiles::new();
        files.write("etc/os-release", "ID=debian\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\n");
        let seen = Stage::of(OsVersion::new(&files.root())).read();
        let labels = [("id", "debian"), ("id_like", ""), ("name", "Debian GNU/Linux")];
        assert_eq!(seen.value("node_os_version", &labels), Some(12.0));
    }

    #[test]
    fn the_host_s_clock_and_kernel_are_read() {
        let before = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs_f64();
        let time = Stage::of(Time).read().value("node_time_seconds", &[]).expect("is read");
        assert!((before..before + 60.0).contains(&time), "{before} {time}");
        let mut stage = Stage::of(Uname);
        assert_eq!(stage.read().instances(), 1);
    }
}
