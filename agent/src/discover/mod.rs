//! What is on the host: sections of items with attributes and relations, sent when they change.
//!
//! Each section is a file with its readers and tests, and [`SECTIONS`] is the one list. [`Discoverer::look`] reads them
//! all and says what is news against what was last made durable: nothing, the difference, or the whole. It reads files
//! and may take a second on a large host, so it is called on a thread of its own.

mod host;
mod os;
mod sent;

use std::path::Path;
use std::sync::{Arc, Mutex};

use watchkeep_protocol::Inventory;
use watchkeep_protocol::inventory::Item;

use crate::observe::Units;
use crate::root::Root;
use sent::Sent;

/// Reads what is on the host, and remembers what was sent of it.
pub struct Discoverer {
    root: Root,
    units: Arc<Mutex<Units>>,
    sent: Sent,
}

impl Discoverer {
    /// Remembers in `state` (the agent's own directory) across restarts what was sent.
    pub fn new(root: Root, state: &Path, units: Arc<Mutex<Units>>) -> Self {
        Self { root, units, sent: Sent::open(state) }
    }

    /// Everything as it is now: (section, items).
    pub fn sections(&mut self) -> Vec<(&'static str, Vec<Item>)> {
        let _ = &self.units;
        vec![("host", host::items(&self.root)), ("os", os::items(&self.root))]
    }

    /// Looks, and says what is news; each message is one matter. Call [`Self::kept`] once all of them are durable, before
    /// the next look; otherwise the next look brings them again.
    pub fn look(&mut self) -> Vec<Inventory> {
        let sections = self.sections();
        self.sent.news(sections)
    }

    /// What the last look brought is durable.
    pub fn kept(&mut self) {
        self.sent.kept();
    }

    /// The controller asks for these sections whole (`*`: for all): the next look brings them.
    pub fn forget(&mut self, sections: &[String]) {
        self.sent.forget(sections);
    }
}

/// An item without relations; attributes without a value are left out.
fn item(class: &str, key: impl Into<String>, attributes: Vec<(&str, Option<String>)>) -> Item {
    let said = attributes.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    let said = said.filter(|(_, value)| !value.is_empty());
    Item { class: class.to_owned(), key: key.into(), attributes: said.collect(), relations: Vec::new() }
}
