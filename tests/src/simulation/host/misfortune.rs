//! What becomes of a host: it is cloned, killed, loses its power or is put back.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Result;

use super::super::timeline::Timeline;
use super::{CLONES_SERIALS, Host};
use crate::chance::Chance;

impl Host {
    /// Another host with all that is on this one's disks, up from `back_at` on: the same name, the same spool, and a clock of
    /// its own.
    ///
    /// # Errors
    /// `act`'s folder cannot be copied.
    pub fn clone_to(&mut self, folder: &Path, back_at: u64, chance: Chance) -> Result<Self> {
        self.cloned = true;
        let act = self.act.cloned(folder)?;
        Ok(Self {
            agent: self.agent.clone(),
            serial: self.serial.clone(),
            hostname: self.hostname.clone(),
            names: BTreeSet::from([self.agent.clone()]),
            cloned: true,
            back_at,
            act_back_at: back_at,
            // Whose reports they are is told by their serials as well.
            reports: self.reports + CLONES_SERIALS,
            ..Self::with(&format!("{}-clone", self.name), act, self.disk.cloned(), chance)
        })
    }

    /// The agent's process ends. With `power`, so does the whole host: what was not synced is lost, and `act` ends as well.
    ///
    /// # Errors
    /// `act`'s journal cannot be torn.
    pub fn crash(&mut self, power: bool, back_at: u64, timeline: &mut Timeline) -> Result<Option<u64>> {
        let Some(life) = self.life.take() else { return Ok(None) };
        timeline.say(&self.name, if power { "the host loses power" } else { "the agent is killed" });
        self.back_at = back_at;
        self.disk.fail_at(0);
        self.disk.set_full(false);
        if power {
            self.disk.crash(self.chance.draw());
            self.act.crash(&mut self.chance)?;
            self.act_back_at = back_at;
        }
        Ok(life.connection.map(|(connection, _)| connection))
    }

    /// Somebody takes a snapshot of the agent's disk.
    pub fn take_snapshot(&mut self, timeline: &mut Timeline) {
        timeline.say(&self.name, "a snapshot of the spool is taken");
        self.snapshot = Some((self.disk.cloned(), self.durable.clone()));
    }

    /// The agent ends, and comes back with the spool of the snapshot; what happened since is undone.
    ///
    /// # Errors
    /// `act`'s journal cannot be torn.
    pub fn restore_snapshot(&mut self, back_at: u64, timeline: &mut Timeline) -> Result<Option<u64>> {
        let Some((disk, durable)) = &self.snapshot else { return Ok(None) };
        let (disk, durable) = (disk.cloned(), durable.clone());
        let connection = self.crash(false, back_at, timeline)?;
        timeline.say(&self.name, "the snapshot of the spool is put back");
        self.disk = disk;
        let since = std::mem::replace(&mut self.durable, durable);
        self.undone.extend(since);
        self.undone.extend(std::mem::take(&mut self.loose));
        Ok(connection)
    }

    /// `act` alone is killed.
    ///
    /// # Errors
    /// Its journal cannot be torn.
    pub fn crash_act(&mut self, back_at: u64, timeline: &mut Timeline) -> Result<()> {
        timeline.say(&self.name, "act is killed");
        self.act_back_at = back_at;
        self.act.crash(&mut self.chance)
    }
}
