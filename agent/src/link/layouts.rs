//! Which layouts the controller was told on this connection.

use std::collections::BTreeSet;

use watchkeep_protocol::{Block, Layout};

/// Layouts are told once a connection, by the step from the one told last where that is shorter.
#[derive(Debug, Default)]
pub struct Announced {
    told: BTreeSet<Vec<u8>>,
    last: Option<Vec<Block>>,
}

impl Announced {
    /// Forgets everything: a new connection, or the controller said hello is needed.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    pub fn knows(&self, id: &[u8]) -> bool {
        self.told.contains(id)
    }

    /// The message that tells `blocks`.
    pub fn tell(&mut self, blocks: Vec<Block>) -> Layout {
        let step = self.last.as_ref().and_then(|last| Layout::step(last, &blocks));
        let layout = step.unwrap_or_else(|| Layout::whole(blocks.clone()));
        self.note(layout.id.clone(), blocks);
        layout
    }

    /// The message that tells `blocks` whole.
    pub fn tell_whole(&mut self, blocks: Vec<Block>) -> Layout {
        let layout = Layout::whole(blocks.clone());
        self.note(layout.id.clone(), blocks);
        layout
    }

    fn note(&mut self, id: Vec<u8>, blocks: Vec<Block>) {
        // A host's layouts are few; what is forgotten here is only told once more.
        if self.told.len() >= 64 {
            self.told.clear();
        }
        self.told.insert(id);
        self.last = Some(blocks);
    }
}
