//! The classes of configuration items, as data: attributes with their types, who may say them, and what identifies an item.
//!
//! An attribute is state or measurement. State is what a change is about, so it makes facts; a measurement is kept as last
//! heard and makes none. Adding a class or an attribute is a line here; what an agent sends beyond it is left out and said.

use std::fmt;

use serde::{Deserialize, Serialize};
use watchkeep_rules::model::CI_CLASSES;

use super::relations::Source;

/// What kind of thing a configuration item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    Host,
    VirtualMachine,
    Container,
    OperatingSystem,
    Disk,
    Filesystem,
    NetworkInterface,
    SoftwarePackage,
    ServiceUnit,
    Process,
    ListeningEndpoint,
    Certificate,
    Database,
    Cluster,
    BusinessService,
    Location,
    Person,
    Group,
    Provider,
}

/// What a value must look like. All but `Text` and `Boolean` are whole numbers in the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    Text,
    Integer,
    /// `true` or `false`.
    Boolean,
    /// UTC milliseconds since 1970.
    Time,
    /// A size, in bytes.
    Bytes,
    /// 1 (highest) to 3.
    Criticality,
}

/// Whether a change of the attribute is worth a fact, and whether it may explain a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    /// How it is set up: a change is somebody's doing, a fact, and may be why something fails.
    Setup,
    /// How it stands: a change is a fact, and explains nothing by itself.
    State,
    /// As last heard, without a fact.
    Measurement,
}

/// One attribute of a class.
#[derive(Clone, Copy, Debug)]
pub struct Attribute {
    pub name: &'static str,
    pub kind: Type,
    pub nature: Nature,
    /// Who may say it, highest rank first; a lower source never overwrites a fresher higher one.
    pub sources: &'static [Source],
}

/// One class.
#[derive(Debug)]
pub struct Schema {
    pub class: Class,
    pub says: &'static str,
    /// Sorted by name.
    pub attributes: &'static [Attribute],
    /// The attributes that identify an item across hosts and names, most certain first. Empty: (host, class, key) does.
    pub identifiers: &'static [&'static str],
    /// The section of an agent's inventory that tells its items' attributes: one that it no longer names is gone. Other
    /// sections may name items for their relations.
    pub section: Option<&'static str>,
    /// The attribute that people know an item by; otherwise its key.
    pub name: Option<&'static str>,
}

const AGENT_FIRST: &[Source] = &[Source::Agent, Source::Import, Source::Hand];
const HAND_FIRST: &[Source] = &[Source::Hand, Source::Import, Source::Agent];

const fn state(name: &'static str, kind: Type) -> Attribute {
    Attribute { name, kind, nature: Nature::State, sources: AGENT_FIRST }
}

const fn text(name: &'static str) -> Attribute {
    state(name, Type::Text)
}

/// What somebody sets up.
const fn setup(name: &'static str, kind: Type) -> Attribute {
    Attribute { name, kind, nature: Nature::Setup, sources: AGENT_FIRST }
}

const fn measured(name: &'static str, kind: Type) -> Attribute {
    Attribute { name, kind, nature: Nature::Measurement, sources: AGENT_FIRST }
}

/// What people know better than programs.
const fn by_hand(name: &'static str, kind: Type) -> Attribute {
    Attribute { name, kind, nature: Nature::State, sources: HAND_FIRST }
}

use Type::{Boolean, Bytes, Criticality, Integer, Text, Time};

/// All classes, in the order of [`Class`] and of their words, [`CI_CLASSES`].
pub static CLASSES: [Schema; CI_CLASSES.len()] = [
    Schema {
        class: Class::Host,
        says: "a machine that runs an operating system of its own and an agent",
        attributes: &[
            text("architecture"),
            text("boot_id"),
            text("cloud_instance_id"),
            text("cloud_provider"),
            text("cpu_model"),
            setup("cpus", Integer),
            text("dmi_asset_tag"),
            text("dmi_bios_version"),
            text("dmi_board"),
            text("dmi_board_serial"),
            text("dmi_board_vendor"),
            text("dmi_product"),
            text("dmi_serial"),
            text("dmi_uuid"),
            text("dmi_vendor"),
            by_hand("environment", Text),
            text("fqdn"),
            text("hostname"),
            setup("kernel", Text),
            text("kernel_release"),
            text("kernel_version"),
            text("mac_addresses"),
            text("machine_id"),
            setup("memory_bytes", Bytes),
            setup("memory_modules", Text),
            by_hand("owner", Text),
            setup("timezone", Text),
            measured("uptime_seconds", Integer),
            text("virtualization"),
        ],
        identifiers: &["agent", "machine_id", "dmi_serial", "dmi_uuid", "cloud_instance_id", "mac_addresses", "fqdn"],
        section: Some("host"),
        name: None,
    },
    Schema {
        class: Class::VirtualMachine,
        says: "a machine as its hypervisor sees it",
        attributes: &[
            setup("cpus", Integer),
            setup("hypervisor", Text),
            setup("memory_bytes", Bytes),
            text("name"),
            text("state"),
            text("uuid"),
        ],
        identifiers: &["uuid"],
        section: Some("virtual_machine"),
        name: Some("name"),
    },
    Schema {
        class: Class::Container,
        says: "a container, by its engine's name for it",
        attributes: &[
            text("engine"),
            text("id"),
            setup("image", Text),
            setup("image_digest", Text),
            text("name"),
            measured("restarts", Integer),
            text("state"),
        ],
        identifiers: &[],
        section: Some("container"),
        name: Some("name"),
    },
    Schema {
        class: Class::OperatingSystem,
        says: "the operating system of a host",
        attributes: &[
            text("architecture"),
            text("codename"),
            state("end_of_support", Time),
            text("home_url"),
            text("id"),
            text("id_like"),
            text("kernel"),
            text("kernel_release"),
            text("name"),
            setup("pretty_name", Text),
            text("variant"),
            text("version"),
            text("version_codename"),
            text("version_id"),
        ],
        identifiers: &[],
        section: Some("os"),
        name: Some("pretty_name"),
    },
    Schema {
        class: Class::Disk,
        says: "a block device that holds data",
        attributes: &[
            setup("model", Text),
            measured("power_on_hours", Integer),
            state("rotational", Boolean),
            setup("serial", Text),
            setup("size_bytes", Bytes),
            text("vendor"),
            text("wwn"),
        ],
        identifiers: &["wwn", "serial"],
        section: Some("disk"),
        name: None,
    },
    Schema {
        class: Class::Filesystem,
        says: "a mounted filesystem, by its mount point",
        attributes: &[
            measured("available_bytes", Bytes),
            setup("device", Text),
            setup("fstype", Text),
            text("mountpoint"),
            text("options"),
            state("read_only", Boolean),
            setup("size_bytes", Bytes),
            text("uuid"),
        ],
        identifiers: &[],
        section: Some("filesystem"),
        name: Some("mountpoint"),
    },
    Schema {
        class: Class::NetworkInterface,
        says: "a network interface of a host",
        attributes: &[
            setup("addresses", Text),
            text("driver"),
            text("duplex"),
            setup("mac_address", Text),
            setup("mtu", Integer),
            text("name"),
            text("operstate"),
            measured("speed_mbits", Integer),
        ],
        identifiers: &["mac_address"],
        section: Some("interface"),
        name: Some("name"),
    },
    Schema {
        class: Class::SoftwarePackage,
        says: "an installed package, by name and architecture",
        attributes: &[
            text("architecture"),
            text("description"),
            text("homepage"),
            state("installed_bytes", Bytes),
            text("license"),
            text("maintainer"),
            text("manager"),
            text("name"),
            text("section"),
            text("source"),
            text("source_version"),
            text("state"),
            text("vendor"),
            setup("version", Text),
        ],
        identifiers: &[],
        section: Some("package"),
        name: Some("name"),
    },
    Schema {
        class: Class::ServiceUnit,
        says: "a unit of the service manager, by its name",
        attributes: &[
            text("active_state"),
            text("description"),
            setup("exec", Text),
            setup("fragment_path", Text),
            text("load_state"),
            measured("memory_bytes", Bytes),
            setup("package", Text),
            text("restart"),
            measured("restarts", Integer),
            measured("sub_state", Text),
            setup("type", Text),
            setup("unit_file_state", Text),
            setup("user", Text),
        ],
        identifiers: &[],
        section: Some("service"),
        name: None,
    },
    Schema {
        class: Class::Process,
        says: "a program that runs, by executable and unit; never a process id",
        attributes: &[
            setup("command", Text),
            measured("count", Integer),
            text("executable"),
            text("name"),
            text("package"),
            text("unit"),
            setup("user", Text),
        ],
        identifiers: &[],
        section: Some("listener"),
        name: None,
    },
    Schema {
        class: Class::ListeningEndpoint,
        says: "an address and port that something listens on",
        attributes: &[text("address"), text("executable"), state("port", Integer), text("protocol"), text("unit")],
        identifiers: &[],
        section: Some("listener"),
        name: None,
    },
    Schema {
        class: Class::Certificate,
        says: "an X.509 certificate in use",
        attributes: &[
            setup("fingerprint_sha256", Text),
            text("issuer"),
            text("names"),
            state("not_after", Time),
            state("not_before", Time),
            text("path"),
            text("serial"),
            text("subject"),
        ],
        identifiers: &["fingerprint_sha256"],
        section: Some("certificate"),
        name: Some("subject"),
    },
    Schema {
        class: Class::Database,
        says: "a database that a server holds",
        attributes: &[text("engine"), text("name"), measured("size_bytes", Bytes), setup("version", Text)],
        identifiers: &[],
        section: Some("database"),
        name: Some("name"),
    },
    Schema {
        class: Class::Cluster,
        says: "several that stand in for each other",
        attributes: &[by_hand("name", Text), by_hand("quorum", Integer), by_hand("type", Text)],
        identifiers: &["name"],
        section: None,
        name: Some("name"),
    },
    Schema {
        class: Class::BusinessService,
        says: "what the organisation gets from it all",
        attributes: &[
            by_hand("criticality", Criticality),
            by_hand("description", Text),
            by_hand("goal", Text),
            by_hand("name", Text),
            by_hand("owner", Text),
        ],
        identifiers: &["name"],
        section: None,
        name: Some("name"),
    },
    Schema {
        class: Class::Location,
        says: "where things stand: site, room, rack",
        attributes: &[by_hand("address", Text), by_hand("kind", Text), by_hand("name", Text)],
        identifiers: &["name"],
        section: None,
        name: Some("name"),
    },
    Schema {
        class: Class::Person,
        says: "somebody, by id only",
        attributes: &[by_hand("reference", Text)],
        identifiers: &["reference"],
        section: None,
        name: Some("reference"),
    },
    Schema {
        class: Class::Group,
        says: "people who answer for something together",
        attributes: &[by_hand("description", Text), by_hand("name", Text)],
        identifiers: &["name"],
        section: None,
        name: Some("name"),
    },
    Schema {
        class: Class::Provider,
        says: "an outside party that supplies something",
        attributes: &[by_hand("contact", Text), by_hand("contract", Text), by_hand("name", Text)],
        identifiers: &["name"],
        section: None,
        name: Some("name"),
    },
];

impl Class {
    pub fn schema(self) -> &'static Schema {
        &CLASSES[self as usize]
    }

    /// The word in YAML, JSON, tables and facts.
    pub fn word(self) -> &'static str {
        CI_CLASSES[self as usize]
    }

    /// Where other things are: so much lives there that failing in one place says little of a common cause.
    pub fn is_place(self) -> bool {
        matches!(self, Self::Host | Self::OperatingSystem | Self::Location)
    }

    /// The class of that word; `None` where there is none.
    pub fn parse(word: &str) -> Option<Self> {
        CI_CLASSES.iter().position(|known| *known == word).map(|place| CLASSES[place].class)
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl Schema {
    pub fn attribute(&self, name: &str) -> Option<&'static Attribute> {
        self.attributes.binary_search_by(|known| known.name.cmp(name)).ok().map(|at| &self.attributes[at])
    }
}

/// A value of an attribute, of the type that its class says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    Boolean(bool),
    Integer(i64),
    Text(String),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean(yes) => write!(f, "{yes}"),
            Self::Integer(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl Type {
    /// Whether [`Self::read`] would take it; costs nothing for text.
    pub fn check(self, text: &str) -> Result<(), String> {
        if self == Self::Text { Ok(()) } else { self.read(text).map(drop) }
    }

    /// Reads a value as it came over the wire or from a person.
    ///
    /// Errors: says what was expected, and what was found (cut to 64 characters).
    pub fn read(self, text: &str) -> Result<Value, String> {
        let found = || text.chars().take(64).collect::<String>();
        let number = |least: i64, most: i64, what: &str| match text.trim().parse::<i64>() {
            Ok(number) if (least..=most).contains(&number) => Ok(Value::Integer(number)),
            _ => Err(format!("\"{}\" is not {what}", found())),
        };
        match self {
            Self::Text => Ok(Value::Text(text.to_owned())),
            Self::Integer => number(i64::MIN, i64::MAX, "a whole number"),
            Self::Bytes => number(0, i64::MAX, "a number of bytes"),
            Self::Time => number(0, i64::MAX, "an instant in milliseconds since 1970"),
            Self::Criticality => number(1, 3, "a criticality, 1 (highest) to 3"),
            Self::Boolean => match text {
                "true" => Ok(Value::Boolean(true)),
                "false" => Ok(Value::Boolean(false)),
                _ => Err(format!("\"{}\" is neither true nor false", found())),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_stands_in_the_order_of_the_classes_and_its_attributes_are_sorted() {
        for (at, schema) in CLASSES.iter().enumerate() {
            assert_eq!(schema.class as usize, at, "{}", schema.class.word());
            assert_eq!(Class::parse(schema.class.word()), Some(schema.class));
            assert_eq!(serde_json::to_value(schema.class).ok(), Some(serde_json::Value::from(schema.class.word())));
            assert!(
                schema.attributes.is_sorted_by(|a, b| a.name < b.name),
                "{}: sort its attributes",
                schema.class.word()
            );
        }
    }

    #[test]
    fn what_names_or_identifies_an_item_is_an_attribute_of_its_class() {
        for schema in &CLASSES {
            // A host's identifiers are derived (agent, serial with vendor): `identify` owns them.
            let identifiers = if schema.class == Class::Host { &[] } else { schema.identifiers };
            for name in schema.name.iter().chain(identifiers) {
                assert!(schema.attribute(name).is_some(), "{}: {name} is no attribute", schema.class.word());
            }
        }
    }

    #[test]
    fn a_value_is_read_by_its_type_or_refused_with_a_sentence() {
        let check = |kind: Type, text: &str, expected: Result<Value, &str>| {
            assert_eq!(kind.read(text), expected.map_err(str::to_owned), "{kind:?} {text:?}");
        };
        check(Text, "", Ok(Value::Text(String::new())));
        check(Integer, "-4", Ok(Value::Integer(-4)));
        check(Integer, "4.5", Err("\"4.5\" is not a whole number"));
        check(Bytes, "-1", Err("\"-1\" is not a number of bytes"));
        check(Time, "1795460437000", Ok(Value::Integer(1_795_460_437_000)));
        check(Boolean, "yes", Err("\"yes\" is neither true nor false"));
        check(Criticality, "1", Ok(Value::Integer(1)));
        check(Criticality, "0", Err("\"0\" is not a criticality, 1 (highest) to 3"));
    }
}
