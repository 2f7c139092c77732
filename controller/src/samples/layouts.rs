//! The layouts of a shard's hosts, as memory holds them.
//!
//! Each container that comes or goes makes a layout. Templates, which are most of one, are held once for the shard, and a
//! change shares with its base the instances of every block that it leaves alone. Kept are the layouts at which a host
//! stands, and of the others those named last, up to [`SPARE_BYTES`]: reports may be under way that are older than the newest
//! layout, or the first of a new one. A report of a layout that was forgotten asks for it.

use std::collections::BTreeMap;
use std::sync::Arc;

use watchkeep_protocol::layout::{Block, Instance, Metric};
use watchkeep_protocol::{Layout, Report, WireError};

use super::template::{Indexed, Templates};

/// Of layouts at which no host stands, kept at most; the newest one is kept however large it is.
const SPARE_BYTES: usize = 4 << 20;
/// So much must have come before it is looked for what to forget: looking goes through all of them.
const LOOK_BYTES: usize = SPARE_BYTES / 8;

/// A layout whose parts are shared.
#[derive(Debug)]
pub struct HeldLayout {
    pub id: Vec<u8>,
    pub(super) blocks: Vec<HeldBlock>,
}

#[derive(Clone, Debug)]
pub(super) struct HeldBlock {
    pub indexed: Arc<Indexed>,
    pub instances: Arc<[Instance]>,
}

impl HeldLayout {
    pub fn new(layout: &Layout, templates: &mut Templates) -> Self {
        Self::sharing(&[], &layout.blocks, layout.id.clone(), templates)
    }

    /// A layout of these blocks that shares with `base` what is the same at the same place.
    fn sharing(base: &[HeldBlock], blocks: &[Block], id: Vec<u8>, templates: &mut Templates) -> Self {
        let mut held = Vec::with_capacity(blocks.len());
        for (place, block) in blocks.iter().enumerate() {
            let before = base.get(place).filter(|before| before.indexed.template == block.template);
            let indexed = before.map(|before| Arc::clone(&before.indexed));
            let same = before.filter(|before| *before.instances == block.instances);
            held.push(HeldBlock {
                indexed: indexed.unwrap_or_else(|| templates.shared(&block.template)),
                instances: same.map_or_else(|| block.instances.as_slice().into(), |same| Arc::clone(&same.instances)),
            });
        }
        Self { id, blocks: held }
    }

    /// As it travels.
    fn blocks(&self) -> Vec<Block> {
        let block =
            |held: &HeldBlock| Block { template: held.indexed.template.clone(), instances: held.instances.to_vec() };
        self.blocks.iter().map(block).collect()
    }

    /// Checks that the report's rows fit.
    ///
    /// # Errors
    /// Says which row does not.
    pub fn check(&self, report: &Report) -> Result<(), WireError> {
        report.check_values(self.blocks.len(), |place| {
            let block = self.blocks.get(place)?;
            Some((block.indexed.template.collector.as_str(), block.instances.len() * block.indexed.metrics()))
        })
    }

    /// Bytes in memory, about; of what it shares with other layouts its share, templates left out.
    fn bytes(&self) -> usize {
        let own = size_of::<Self>() + self.id.len() + self.blocks.len() * size_of::<HeldBlock>();
        let instances = self.blocks.iter().map(|block| {
            let texts = block.instances.iter().flat_map(|instance| &instance.values);
            let text: usize = texts.map(|text| size_of::<String>() + text.len()).sum();
            (block.instances.len() * size_of::<Instance>() + text) / Arc::strong_count(&block.instances)
        });
        own + instances.sum::<usize>()
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Layouts {
    known: BTreeMap<Vec<u8>, Known>,
    templates: Templates,
    /// Counts what is named, for which of two was named last.
    named: u64,
    /// Bytes that came since it was last looked for what to forget.
    grown: usize,
}

#[derive(Debug)]
struct Known {
    layout: Arc<HeldLayout>,
    named: u64,
}

impl Layouts {
    pub fn templates(&mut self) -> &mut Templates {
        &mut self.templates
    }

    /// What agents say of the metrics that they report; of one in two templates twice.
    pub fn metrics(&self) -> impl Iterator<Item = &Metric> {
        self.templates.metrics()
    }

    /// The layout of this id, for a report of it.
    pub fn get(&mut self, id: &[u8]) -> Option<Arc<HeldLayout>> {
        let known = self.known.get_mut(id)?;
        self.named += 1;
        known.named = self.named;
        Some(Arc::clone(&known.layout))
    }

    /// Takes a layout that an agent tells. A change whose base is not here is passed over, and asked for whole when a report
    /// names it.
    ///
    /// # Errors
    /// It does not lead to its id.
    pub fn take(&mut self, layout: Layout) -> Result<(), WireError> {
        let held = match &layout.change {
            Some(change) => {
                let Some(base) = self.known.get(&change.base).map(|known| Arc::clone(&known.layout)) else {
                    return Ok(());
                };
                let blocks = change.apply(&base.blocks(), &layout.id)?;
                HeldLayout::sharing(&base.blocks, &blocks, layout.id, &mut self.templates)
            }
            None if Layout::content_id(&layout.blocks)[..] == layout.id => {
                HeldLayout::new(&layout, &mut self.templates)
            }
            None => {
                let found = "its id is not the hash of its blocks".to_owned();
                return Err(WireError::Invalid { what: "layout", found });
            }
        };
        self.named += 1;
        self.grown += held.bytes();
        let named = self.named;
        let known = self.known.entry(held.id.clone()).or_insert_with(|| Known { layout: Arc::new(held), named });
        known.named = named;
        Ok(())
    }

    /// Forgets what is too much; to be called often: it looks only after much has come.
    pub fn forget(&mut self) {
        if self.grown < LOOK_BYTES {
            return;
        }
        self.grown = 0;
        let is_spare = |known: &Known| Arc::strong_count(&known.layout) == 1;
        let spare = self.known.iter().filter(|(_, known)| is_spare(known));
        let mut spare: Vec<(u64, usize)> = spare.map(|(_, known)| (known.named, known.layout.bytes())).collect();
        spare.sort_unstable_by(|a, b| b.cmp(a));
        let mut bytes = 0;
        let too_much = spare.iter().skip(1).find(|(_, more)| {
            bytes += more;
            bytes > SPARE_BYTES
        });
        if let Some((last, _)) = too_much {
            self.known.retain(|_, known| !is_spare(known) || known.named > *last);
        }
    }

    /// Bytes in memory, about: layouts, and the templates that hosts and layouts share.
    pub fn bytes(&self) -> usize {
        self.known.values().map(|known| known.layout.bytes()).sum::<usize>() + self.templates.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::block;
    use super::*;

    /// A host of 200 containers, and of cores that never change.
    fn blocks(containers: u64) -> Vec<Block> {
        let names: Vec<String> =
            (containers..containers + 200).map(|number| format!("container-{number:050}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        vec![
            block("cpu", "cpu", &["seconds_total"], &["0", "1"]),
            block("containers", "name", &["up", "memory"], &names),
        ]
    }

    fn step(from: u64, to: u64) -> Layout {
        Layout::step(&blocks(from), &blocks(to)).expect("only instances differ")
    }

    #[test]
    fn a_change_shares_what_it_leaves_alone() {
        let mut layouts = Layouts::default();
        let (first, second) = (Layout::whole(blocks(0)), step(0, 1));
        layouts.take(first.clone()).expect("whole");
        layouts.take(second.clone()).expect("a change of it");
        let (first, second) = (layouts.get(&first.id).expect("known"), layouts.get(&second.id).expect("known"));
        assert_eq!(second.blocks(), blocks(1));
        let shares = |place: usize| Arc::ptr_eq(&first.blocks[place].instances, &second.blocks[place].instances);
        assert_eq!([shares(0), shares(1)], [true, false]);
        assert!((0..2).all(|place| Arc::ptr_eq(&first.blocks[place].indexed, &second.blocks[place].indexed)));
    }

    #[test]
    fn what_does_not_lead_to_its_id_is_refused_and_a_change_without_its_base_is_passed_over() {
        let mut layouts = Layouts::default();
        layouts.take(step(0, 1)).expect("passed over");
        let other = Layout { id: vec![9; 32], ..Layout::whole(blocks(0)) };
        let refused = layouts.take(other).expect_err("another id").to_string();
        assert_eq!(refused, "layout: its id is not the hash of its blocks");
        assert!(layouts.known.is_empty());
    }

    #[test]
    fn of_layouts_that_come_and_go_those_remain_at_which_hosts_stand_and_the_newest() {
        let mut layouts = Layouts::default();
        layouts.take(Layout::whole(blocks(0))).expect("whole");
        let stood_at = layouts.get(&Layout::whole(blocks(0)).id).expect("known");
        let a_layout = layouts.bytes();
        for number in 0..600 {
            layouts.take(step(number, number + 1)).expect("the one before is here");
            layouts.forget();
        }
        let newest = Layout::whole(blocks(600));
        assert!(layouts.get(&newest.id).is_some() && layouts.get(&stood_at.id).is_some());
        assert!(layouts.get(&Layout::whole(blocks(1)).id).is_none(), "the oldest at which nobody stands");
        assert!(layouts.known.len() > 50, "{} of {a_layout} bytes: those are few", layouts.known.len());
        assert!(layouts.bytes() < SPARE_BYTES + LOOK_BYTES + 3 * a_layout, "{} bytes", layouts.bytes());
        // It goes like the others once nobody stands there.
        let left = stood_at.id.clone();
        drop(stood_at);
        for number in 600..900 {
            layouts.take(step(number, number + 1)).expect("the one before is here");
            layouts.forget();
        }
        assert!(!layouts.known.contains_key(&left));
    }

    #[test]
    fn the_newest_is_kept_however_large_it_is() {
        let mut layouts = Layouts::default();
        let names: Vec<String> = (0..100_000).map(|number| format!("container-{number:050}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let large = Layout::whole(vec![block("containers", "name", &["up"], &names)]);
        layouts.take(large.clone()).expect("whole");
        layouts.forget();
        assert!(layouts.bytes() > SPARE_BYTES && layouts.get(&large.id).is_some());
        for number in 0..50 {
            layouts.take(Layout::whole(blocks(number))).expect("whole");
            layouts.forget();
        }
        assert!(layouts.bytes() < SPARE_BYTES && layouts.get(&large.id).is_none());
    }
}
