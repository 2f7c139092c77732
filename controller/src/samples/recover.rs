//! Reading back after a start: samples that rules can still look at, and how far each spool is sealed.

use std::collections::BTreeMap;

use super::file::{self, FileFault, Index, IndexedHost};
use super::folder::Folder;
use super::{Covered, HostSeries, Templates};

/// What files say of one host.
#[derive(Debug)]
pub struct Recovered {
    pub samples: HostSeries,
    /// How far the agent's spool is in files.
    pub covered: Covered,
}

/// What is read back, and what could not be.
#[derive(Debug, Default)]
pub struct Recovery {
    pub hosts: BTreeMap<String, Recovered>,
    /// Sentences for the log: files set aside, parts left out.
    pub faults: Vec<String>,
}

/// Hosts that said nothing for so long before the newest file have no place in it; older ones are looked at for them.
const SILENT_MS: i64 = 3_600_000;

/// Reads back what the hosts that `make` gives an empty [`HostSeries`] for have in the folder's files: samples after
/// `after`, and the rest from the newest file that names them. A damaged file is set aside.
///
/// # Errors
/// The folder cannot be read.
pub fn recover(
    folder: &Folder,
    after: i64,
    templates: &mut Templates,
    mut make: impl FnMut(&str) -> Option<HostSeries>,
) -> std::io::Result<Recovery> {
    let mut recovery = Recovery::default();
    let names = folder.list()?;
    let newest = names.iter().filter_map(|name| file::sealed_at(name)).max().unwrap_or_default();
    // A file has samples from before it was sealed, so older ones than `after` need not be looked at.
    let first = after.min(newest.saturating_sub(SILENT_MS));
    let wanted = names.iter().filter(|name| file::sealed_at(name).is_some_and(|at| at >= first));
    for name in wanted {
        let index = match file::index(folder, name) {
            Ok(index) => index,
            Err(fault) => {
                recovery.set_aside(folder, name, &fault);
                continue;
            }
        };
        recovery.take(folder, name, &index, after, templates, &mut make);
    }
    recovery.hosts.values_mut().for_each(|host| host.samples.go_on());
    Ok(recovery)
}

fn covered(indexed: &IndexedHost) -> Covered {
    let IndexedHost { agent, spool, covered, beyond, .. } = indexed;
    let beyond = beyond.as_chunks().0.iter().map(|[first, next]| *first..*next).collect();
    Covered { agent: agent.clone(), spool: spool.clone(), number: *covered, beyond }
}

impl Recovery {
    fn take(
        &mut self,
        folder: &Folder,
        name: &str,
        index: &Index,
        after: i64,
        templates: &mut Templates,
        make: &mut impl FnMut(&str) -> Option<HostSeries>,
    ) {
        for indexed in &index.hosts {
            if !self.hosts.contains_key(&indexed.agent) {
                let Some(samples) = make(&indexed.agent) else { continue };
                let new = Recovered { samples, covered: Covered::default() };
                self.hosts.insert(indexed.agent.clone(), new);
            }
            let host = self.hosts.get_mut(&indexed.agent).expect("it was put there above");
            let part = match index.host(folder, name, indexed) {
                Ok(part) => part,
                Err(fault) => {
                    // Its samples are asked for again only where no later file covers the spool further.
                    self.faults.push(format!("the samples of \"{}\" are left out: {fault}", indexed.agent));
                    continue;
                }
            };
            host.covered = covered(indexed);
            if indexed.until > after
                && let Err(found) = host.samples.restore(index, part, after, templates)
            {
                self.faults.push(format!("block file \"{name}\", part of \"{}\": {found}; left out", indexed.agent));
            }
        }
    }

    fn set_aside(&mut self, folder: &Folder, name: &str, fault: &FileFault) {
        let aside = match fault {
            FileFault::Damaged { .. } => match folder.set_aside(name) {
                Ok(()) => "it is set aside".to_owned(),
                Err(error) => format!("it cannot be set aside: {error}"),
            },
            FileFault::Disk { source, .. } => source.to_string(),
        };
        self.faults.push(format!("{fault}; {aside}"));
    }
}
