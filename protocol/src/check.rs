//! What a decoded message must hold to be believed: sizes, names, counts. Decoding says that bytes are protobuf; this says
//! that they make sense. Both sides call it on what comes in; the agent also on what it is about to spool.

mod action;

use std::collections::BTreeMap;

use prost::Message;

use crate::command::Action;
use crate::layout::{Block, Template};
use crate::matter::{MatterBody, Will};
use crate::session::{Hello, Resync, Span, Unsent};
use crate::topic::{Kind, is_agent_name};
use crate::{
    Ack, Command, CommandBody, CommandResult, Envelope, Event, Inventory, Item, Layout, LayoutChange, Matter, Offer,
    Open, Outcome, Proof, Report, Status, WireError, limits,
};

pub use action::{FILE_STATES, PACKAGE_STATES, SERVICE_STATES};

/// A message that can say whether it makes sense.
pub trait Check {
    /// # Errors
    /// Names the field and what was found in it; never the whole content.
    fn check(&self) -> Result<(), WireError>;
}

impl Envelope {
    /// Reads the body as the message of `kind`: size by kind, structure, sense.
    ///
    /// # Errors
    /// [`WireError`], naming the kind or the field.
    pub fn open_checked<T: Message + Default + Check>(&self, kind: Kind) -> Result<T, WireError> {
        if self.body.len() > kind.body_bytes_max() {
            return Err(WireError::TooLarge { what: kind.word(), found: self.body.len(), most: kind.body_bytes_max() });
        }
        let message: T = self.open(kind.word())?;
        message.check()?;
        Ok(message)
    }
}

impl Kind {
    /// The largest body of this kind, bytes.
    pub fn body_bytes_max(self) -> usize {
        match self {
            Self::Layout | Self::Report | Self::Inventory => limits::ENVELOPE_BYTES - 256,
            Self::Result => 3 * limits::OUTPUT_BYTES,
            Self::Hello | Self::Event | Self::Resync | Self::Command => 64 << 10,
            Self::Status | Self::Proof => 16 << 10,
            Self::Will | Self::Ack | Self::Open | Self::Offer => 1 << 10,
        }
    }
}

fn invalid(what: &'static str, found: impl Into<String>) -> WireError {
    WireError::Invalid { what, found: found.into() }
}

fn ensure(holds: bool, what: &'static str, found: impl FnOnce() -> String) -> Result<(), WireError> {
    if holds { Ok(()) } else { Err(invalid(what, found())) }
}

fn bytes_of(what: &'static str, bytes: &[u8], length: usize) -> Result<(), WireError> {
    ensure(bytes.len() == length, what, || format!("{} bytes, not {length}", bytes.len()))
}

/// PostgreSQL takes no NUL in a text, so nobody may send one.
fn text_of(what: &'static str, text: &str, most: usize) -> Result<(), WireError> {
    ensure(!text.contains('\0'), what, || "holds a NUL".to_owned())?;
    ensure(text.len() <= most, what, || format!("{} bytes, at most {most} are taken", text.len()))
}

fn name_of(what: &'static str, text: &str, most: usize) -> Result<(), WireError> {
    ensure(!text.is_empty(), what, || "empty".to_owned())?;
    text_of(what, text, most)
}

/// Numbers of streams stay far below where databases and additions end.
fn number_of(what: &'static str, number: u64) -> Result<(), WireError> {
    ensure(number <= limits::NUMBER_MAX, what, || format!("{number}, at most {} is taken", limits::NUMBER_MAX))
}

fn count_of(what: &'static str, found: usize, most: usize) -> Result<(), WireError> {
    ensure(found <= most, what, || format!("{found}, at most {most} are taken"))
}

/// Whether `name` is a label's: `[a-zA-Z_][a-zA-Z0-9_]*`, at most [`limits::NAME_BYTES`].
pub fn is_label_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    name.len() <= limits::NAME_BYTES
        && bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Whether `name` is a metric's: as a label's, with colons.
pub fn is_metric_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= limits::NAME_BYTES
        && !name.as_bytes()[0].is_ascii_digit()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b':')
}

/// Labels: their number, names and sizes.
///
/// # Errors
/// Names the label.
pub fn check_labels(labels: &BTreeMap<String, String>) -> Result<(), WireError> {
    count_of("labels", labels.len(), limits::LABELS)?;
    for (name, value) in labels {
        ensure(is_label_name(name), "label name", || format!("{:?}", shortened(name)))?;
        ensure(!value.contains('\0'), "label value", || format!("{name} holds a NUL"))?;
        ensure(value.len() <= limits::VALUE_BYTES, "label value", || {
            format!("{name} has {} bytes, at most {} are taken", value.len(), limits::VALUE_BYTES)
        })?;
    }
    Ok(())
}

fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

impl Check for Span {
    fn check(&self) -> Result<(), WireError> {
        number_of("span", self.next)?;
        ensure(self.first <= self.next, "span", || format!("{}..{} runs backwards", self.first, self.next))
    }
}

impl Check for Hello {
    fn check(&self) -> Result<(), WireError> {
        bytes_of("spool id", &self.spool, 16)?;
        self.matters.check()?;
        self.samples.check()?;
        ensure(self.interval_ms > 0, "interval_ms", || "zero".to_owned())?;
        text_of("version", &self.version, limits::NAME_BYTES)?;
        text_of("hostname", &self.hostname, limits::AGENT_BYTES)?;
        text_of("boot id", &self.boot_id, limits::NAME_BYTES)?;
        empty_or("command nonce", &self.command_nonce, 16)?;
        empty_or("policy hash", &self.policy_hash, 32)?;
        empty_or("key share", &self.key_share, 32)?;
        let Unsent { matters, samples } = self.unsent_from();
        let holds = matters <= self.matters.next && samples <= self.samples.next;
        ensure(holds, "unsent", || format!("{matters} and {samples} are beyond what is held"))?;
        check_labels(&self.claims)
    }
}

fn empty_or(what: &'static str, bytes: &[u8], length: usize) -> Result<(), WireError> {
    if bytes.is_empty() { Ok(()) } else { bytes_of(what, bytes, length) }
}

impl Check for Ack {
    fn check(&self) -> Result<(), WireError> {
        bytes_of("spool id", &self.spool, 16)?;
        ensure(self.sealed <= self.taken, "sealed", || format!("{} is beyond taken {}", self.sealed, self.taken))?;
        empty_or("key share", &self.key_share, 32)
    }
}

impl Check for Resync {
    fn check(&self) -> Result<(), WireError> {
        count_of("layouts", self.layouts.len(), 64)?;
        count_of("sections", self.sections.len(), 64)?;
        text_of("reason", &self.reason, limits::VALUE_BYTES)?;
        self.layouts.iter().try_for_each(|id| bytes_of("layout id", id, 32))?;
        count_of("reports", self.reports.len(), 64)?;
        self.reports.iter().try_for_each(Check::check)?;
        self.sections.iter().try_for_each(|section| name_of("section", section, limits::NAME_BYTES))
    }
}

impl Check for Will {
    fn check(&self) -> Result<(), WireError> {
        bytes_of("session", &self.session, 16)
    }
}

impl Check for Open {
    fn check(&self) -> Result<(), WireError> {
        bytes_of("key share", &self.share, 32)
    }
}

impl Check for Offer {
    fn check(&self) -> Result<(), WireError> {
        bytes_of("key share", &self.share, 32)?;
        bytes_of("nonce", &self.nonce, 16)?;
        bytes_of("key id", &self.key, 8)?;
        bytes_of("signature", &self.signature, 64)
    }
}

impl Check for Proof {
    fn check(&self) -> Result<(), WireError> {
        ensure(!self.certificate.is_empty(), "certificate", || "empty".to_owned())?;
        ensure(!self.signature.is_empty(), "signature", || "empty".to_owned())?;
        count_of("bytes of a certificate", self.certificate.len(), 8 << 10)?;
        count_of("bytes of a signature", self.signature.len(), 128)
    }
}

impl Check for Matter {
    fn check(&self) -> Result<(), WireError> {
        bytes_of("spool id", &self.spool, 16)?;
        number_of("number", self.number)?;
        match &self.body {
            Some(MatterBody::Event(event)) => event.check(),
            Some(MatterBody::Inventory(inventory)) => inventory.check(),
            Some(MatterBody::Result(result)) => result.check(),
            Some(MatterBody::Status(status)) => status.check(),
            None => Err(invalid("matter", "has no body that is known here")),
        }
    }
}

impl Check for Event {
    fn check(&self) -> Result<(), WireError> {
        check_labels(&self.labels)?;
        ensure(self.labels.get("kind").is_some_and(|kind| !kind.is_empty()), "event", || {
            "has no label \"kind\"".to_owned()
        })?;
        text_of("text", &self.text, limits::TEXT_BYTES)
    }
}

impl Check for Status {
    fn check(&self) -> Result<(), WireError> {
        name_of("status", &self.what, limits::NAME_BYTES)?;
        text_of("detail", &self.detail, limits::TEXT_BYTES)?;
        self.skipped.iter().try_for_each(Check::check)
    }
}

impl Check for CommandResult {
    fn check(&self) -> Result<(), WireError> {
        bytes_of("command id", &self.id, 16)?;
        ensure(Outcome::try_from(self.outcome).is_ok(), "outcome", || format!("{} is unknown here", self.outcome))?;
        count_of("bytes of stdout", self.stdout.len(), limits::OUTPUT_BYTES)?;
        count_of("bytes of stderr", self.stderr.len(), limits::OUTPUT_BYTES)?;
        text_of("reason", &self.reason, limits::TEXT_BYTES)?;
        text_of("refusal", &self.refusal, limits::NAME_BYTES)?;
        text_of("run", &self.run, limits::NAME_BYTES)?;
        text_of("policy", &self.policy, limits::TEXT_BYTES)
    }
}

impl Check for Inventory {
    fn check(&self) -> Result<(), WireError> {
        name_of("section", &self.section, limits::NAME_BYTES)?;
        bytes_of("section hash", &self.hash, 32)?;
        empty_or("base hash", &self.base, 32)?;
        count_of("items", self.items.len(), limits::ITEMS)?;
        count_of("gone items", self.gone.len(), limits::ITEMS)?;
        count_of("parts", self.parts as usize, 1_000)?;
        ensure(self.part < self.parts.max(1), "part", || format!("{} of {}", self.part, self.parts))?;
        self.gone.iter().try_for_each(|item| identity(&item.class, &item.key))?;
        self.items.iter().try_for_each(Check::check)
    }
}

impl Check for Item {
    fn check(&self) -> Result<(), WireError> {
        identity(&self.class, &self.key)?;
        count_of("attributes", self.attributes.len(), 64)?;
        for (name, value) in &self.attributes {
            name_of("attribute name", name, limits::NAME_BYTES)?;
            text_of("attribute value", value, 4 * limits::VALUE_BYTES)?;
        }
        count_of("relations", self.relations.len(), limits::ITEMS)?;
        self.relations.iter().try_for_each(|relation| {
            name_of("relation", &relation.kind, limits::NAME_BYTES)?;
            identity(&relation.to.class, &relation.to.key)
        })
    }
}

fn identity(class: &str, key: &str) -> Result<(), WireError> {
    name_of("class", class, limits::NAME_BYTES)?;
    name_of("item key", key, limits::VALUE_BYTES)
}

impl Check for Layout {
    fn check(&self) -> Result<(), WireError> {
        bytes_of("layout id", &self.id, 32)?;
        count_of("blocks", self.blocks.len(), limits::BLOCKS)?;
        ensure(self.change.is_some() == self.blocks.is_empty(), "layout", || {
            "must carry either blocks or a change".to_owned()
        })?;
        self.change.iter().try_for_each(Check::check)?;
        self.blocks.iter().try_for_each(Check::check)?;
        count_of("values", Self::values_of(&self.blocks), limits::REPORT_VALUES)?;
        ensure(self.change.is_some() || self.id == Self::content_id(&self.blocks), "layout id", || {
            "is not that of its blocks".to_owned()
        })
    }
}

impl Check for Block {
    fn check(&self) -> Result<(), WireError> {
        self.template.check()?;
        let labels = self.template.instance_labels.len();
        self.instances.iter().try_for_each(|instance| {
            ensure(instance.values.len() == labels, "instance", || {
                format!("{} values for {labels} labels of {:?}", instance.values.len(), self.template.collector)
            })?;
            instance.values.iter().try_for_each(|value| text_of("instance label", value, limits::VALUE_BYTES))
        })
    }
}

impl Check for Template {
    fn check(&self) -> Result<(), WireError> {
        name_of("collector", &self.collector, limits::NAME_BYTES)?;
        count_of("metrics", self.metrics.len(), limits::REPORT_VALUES)?;
        count_of("instance labels", self.instance_labels.len(), limits::LABELS)?;
        self.instance_labels
            .iter()
            .try_for_each(|name| ensure(is_label_name(name), "label name", || format!("{:?}", shortened(name))))?;
        self.metrics.iter().try_for_each(|metric| {
            ensure(is_metric_name(&metric.name), "metric name", || format!("{:?}", shortened(&metric.name)))?;
            text_of("help", &metric.help, limits::VALUE_BYTES)?;
            check_labels(&metric.labels)
        })
    }
}

impl Check for LayoutChange {
    fn check(&self) -> Result<(), WireError> {
        bytes_of("base layout", &self.base, 32)?;
        count_of("removed instances", self.removed.len(), limits::REPORT_VALUES)?;
        ensure(self.removed.is_sorted_by(|a, b| a < b), "removed instances", || "do not rise".to_owned())?;
        count_of("added instances", self.added.len(), limits::REPORT_VALUES)
    }
}

impl Check for Report {
    fn check(&self) -> Result<(), WireError> {
        bytes_of("spool id", &self.spool, 16)?;
        number_of("number", self.number)?;
        ensure(self.skipped <= self.number, "skipped", || format!("{} before number {}", self.skipped, self.number))?;
        bytes_of("layout id", &self.layout, 32)?;
        count_of("rows", self.rows.len(), limits::BLOCKS)?;
        count_of("values", self.rows.iter().map(|row| row.values.len()).sum(), limits::REPORT_VALUES)?;
        self.rows.iter().try_for_each(|row| {
            ensure(row.flags.is_empty() || row.flags.len() == row.values.len(), "flags", || {
                format!("{} for {} values", row.flags.len(), row.values.len())
            })?;
            ensure(row.flags.iter().all(|flag| *flag <= 2), "flags", || "one is unknown here".to_owned())
        })
    }
}

impl Report {
    /// Whether the rows fit the blocks of the layout that the report names: each block at most once, and
    /// `instances × metrics` values in it.
    ///
    /// # Errors
    /// Names the block and both counts.
    pub fn check_against(&self, blocks: &[Block]) -> Result<(), WireError> {
        self.check_values(blocks.len(), |place| {
            let block = blocks.get(place)?;
            Some((block.template.collector.as_str(), block.instances.len() * block.template.metrics.len()))
        })
    }

    /// As [`Report::check_against`], for whoever holds the layout in another shape: `due` says of each of its `count` blocks
    /// the collector and how many values a row of it has.
    ///
    /// # Errors
    /// As there.
    pub fn check_values<'a>(
        &self,
        count: usize,
        due: impl Fn(usize) -> Option<(&'a str, usize)>,
    ) -> Result<(), WireError> {
        let mut seen = vec![false; count];
        for row in &self.rows {
            let place = row.block as usize;
            let (collector, due) = due(place)
                .filter(|_| place < count)
                .ok_or_else(|| invalid("row", format!("names block {place}, the layout has {count}")))?;
            ensure(!std::mem::replace(&mut seen[place], true), "row", || format!("names block {place} twice"))?;
            ensure(row.values.len() == due, "row", || {
                format!("{} values for block {place} ({collector:?}), which has {due}", row.values.len())
            })?;
        }
        Ok(())
    }
}

impl Check for Command {
    fn check(&self) -> Result<(), WireError> {
        count_of("bytes of body", self.body.len(), Kind::Command.body_bytes_max())?;
        count_of("signatures", self.signatures.len(), 8)?;
        self.signatures.iter().try_for_each(|signature| {
            bytes_of("key id", &signature.key, 8)?;
            bytes_of("signature", &signature.signature, 64)
        })
    }
}

impl Check for CommandBody {
    fn check(&self) -> Result<(), WireError> {
        bytes_of("command id", &self.id, 16)?;
        ensure(is_agent_name(&self.agent), "agent", || format!("{:?}", shortened(&self.agent)))?;
        name_of("run", &self.run, limits::NAME_BYTES)?;
        ensure(self.attempt > 0, "attempt", || "zero".to_owned())?;
        bytes_of("plan hash", &self.plan_hash, 32)?;
        bytes_of("session nonce", &self.session_nonce, 16)?;
        ensure(self.timeout_ms > 0, "timeout_ms", || "zero".to_owned())?;
        match &self.action {
            Some(Action::Run(run)) => run.check(),
            Some(Action::Service(service)) => service.check(),
            Some(Action::Script(script)) => script.check(),
            Some(Action::Package(package)) => package.check(),
            Some(Action::File(file)) => file.check(),
            None => Err(invalid("action", "none that is known here")),
        }
    }
}
