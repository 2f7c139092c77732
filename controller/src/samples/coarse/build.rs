//! Making coarse blocks of block files.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use watchkeep_rules::promql::labels::{Labels, NAME};
use watchkeep_rules::promql::series::Samples as _;
use watchkeep_rules::selector::{MatchOp, Matcher, Selector};

use super::{Bucket, COLUMNS, Coarse, Resolution, STRETCH_MS};
use crate::samples::chunk::{Chunk, Rows};
use crate::samples::file::{self, Index, IndexedHost, StoredDerived, StoredHost, Writer};
use crate::samples::seal::{remove_old, stored};
use crate::samples::{Folder, HostSeries, Templates, gap};

/// How long after the end of a stretch its files are all written. One that is later is read beside the coarse block.
const SETTLED_MS: i64 = 600_000;
/// Series that stand in one table of a block.
const TABLE: usize = 256;

/// The buckets of one series, by their ends.
type Buckets = BTreeMap<i64, Bucket>;

impl Coarse {
    /// Makes the blocks of the oldest stretch that is over and has none, and removes what is older than its term. Where
    /// something fails it is counted and told, and the next round tries again.
    pub fn round(&self, blocks: &Folder, now: i64) {
        for resolution in Resolution::ALL {
            match self.build_next(resolution, blocks, now) {
                Ok(0) => {}
                Ok(bytes) => {
                    self.0.built.fetch_add(1, Ordering::Relaxed);
                    self.0.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
                }
                Err(error) => {
                    self.0.failed.fetch_add(1, Ordering::Relaxed);
                    tracing::error!(
                        error,
                        resolution = resolution.word(),
                        "samples are not down-sampled; they stay as they are, and it is tried again"
                    );
                }
            }
            remove_old(self.folder(resolution), now.saturating_sub(self.term_ms(resolution)));
        }
    }

    /// Bytes of the block that was made; 0: none was due.
    pub(super) fn build_next(&self, resolution: Resolution, blocks: &Folder, now: i64) -> Result<usize, String> {
        let listed = |error: std::io::Error| format!("list block files: {error}");
        let folder = self.folder(resolution);
        let there: BTreeSet<String> = folder.list().map_err(listed)?.into_iter().collect();
        let mut due: BTreeMap<i64, Vec<String>> = BTreeMap::new();
        for name in blocks.list().map_err(listed)? {
            let Some(end) = file::sealed_at(&name).map(end_of_stretch) else { continue };
            let is_kept = end > now.saturating_sub(self.term_ms(resolution));
            if is_kept && end.saturating_add(SETTLED_MS) <= now && !there.contains(&file::name(end, 0)) {
                due.entry(end).or_default().push(name);
            }
        }
        let Some((end, names)) = due.into_iter().next() else { return Ok(0) };
        let bytes = made_of(resolution, end, blocks, &names)?;
        let name = file::name(end, 0);
        let put = folder.put(&name, &bytes);
        put.map_err(|error| format!("write coarse block \"{}\": {error}", folder.path(&name).display()))?;
        Ok(bytes.len())
    }
}

fn end_of_stretch(at: i64) -> i64 {
    (at.saturating_sub(1).div_euclid(STRETCH_MS) + 1).saturating_mul(STRETCH_MS)
}

/// A coarse block of these files. One that is damaged is left out, as it is when samples are read.
fn made_of(resolution: Resolution, end: i64, blocks: &Folder, names: &[String]) -> Result<Vec<u8>, String> {
    let mut files: Vec<(&String, Index)> = Vec::new();
    for name in names {
        match file::index(blocks, name) {
            Ok(index) => files.push((name, index)),
            Err(fault @ file::FileFault::Damaged { .. }) => tracing::warn!(%fault, "left out of a coarse block"),
            Err(fault) => return Err(fault.to_string()),
        }
    }
    let agents: BTreeSet<&str> =
        files.iter().flat_map(|(_, index)| index.hosts.iter().map(|host| host.agent.as_str())).collect();
    let mut writer = Writer::new(end);
    writer.covers(names);
    for agent in agents {
        let (mut series, mut labels, mut templates) =
            (HostSeries::new(agent, &BTreeMap::new()), None, Templates::default());
        for (name, index) in &files {
            let Some(host) = index.hosts.iter().find(|host| host.agent == agent) else { continue };
            let part = match index.host(blocks, name, host) {
                Ok(part) => part,
                Err(fault @ file::FileFault::Damaged { .. }) => {
                    tracing::warn!(%fault, "left out of a coarse block");
                    continue;
                }
                Err(fault) => return Err(fault.to_string()),
            };
            if let Err(fault) = series.restore(index, part, i64::MIN, &mut templates) {
                tracing::warn!(name, agent, fault, "left out of a coarse block");
            }
            labels = Some(&host.labels);
        }
        labels.into_iter().for_each(|labels| series.relabel(agent, labels));
        add_host(&mut writer, agent, &series, resolution)?;
    }
    Ok(writer.end())
}

fn add_host(writer: &mut Writer, agent: &str, series: &HostSeries, resolution: Resolution) -> Result<(), String> {
    let mut host = StoredHost::default();
    let (mut from, mut until) = (i64::MAX, i64::MIN);
    let mut table: Vec<(Labels, Buckets)> = Vec::new();
    let mut names = series.metric_names().into_iter().peekable();
    // Name by name, so that the points of few series are unpacked at a time.
    while let Some(name) = names.next() {
        let matcher = Matcher { label: NAME.to_owned(), op: MatchOp::Equal, value: name };
        let found = series.select(&Selector { matchers: vec![matcher] }, i64::MIN, i64::MAX)?;
        for series in found {
            let mut buckets = Buckets::new();
            for point in series.points.iter().filter(|point| !point.is_stale()) {
                let bucket = Bucket::of(point.at, point.value);
                buckets.entry(resolution.end_of(point.at)).and_modify(|known| known.merge(bucket)).or_insert(bucket);
                (from, until) = (from.min(point.at), until.max(point.at));
            }
            if !buckets.is_empty() {
                table.push((series.labels, buckets));
            }
        }
        if table.len() >= TABLE || names.peek().is_none() {
            host.derived.extend(packed(&std::mem::take(&mut table)));
        }
    }
    writer.host(IndexedHost { agent: agent.to_owned(), from, until, ..IndexedHost::default() }, &host);
    Ok(())
}

/// One table: a row a bucket, six columns a series.
fn packed(table: &[(Labels, Buckets)]) -> Option<StoredDerived> {
    let ends: BTreeSet<i64> = table.iter().flat_map(|(_, buckets)| buckets.keys().copied()).collect();
    let times: Vec<i64> = ends.into_iter().collect();
    let mut values = Vec::with_capacity(times.len() * table.len() * COLUMNS);
    for end in &times {
        for (_, buckets) in table {
            values.extend(buckets.get(end).map_or([gap(); COLUMNS], |bucket| bucket.columns(*end)));
        }
    }
    let slots: Vec<u32> = (0..table.len() as u32).collect();
    let chunk = Chunk::pack(&Rows { slots: &slots, metrics: COLUMNS, times: &times, values: &values })?;
    Some(StoredDerived { series: table.iter().map(|(labels, _)| stored(labels)).collect(), chunk: chunk.stored(0) })
}
