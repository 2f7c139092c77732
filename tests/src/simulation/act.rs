//! `watchkeep-act` without its socket and its processes: the real judge, the real journal, and actions that only take time.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use watchkeep_agent::act::journal::Journal;
use watchkeep_agent::act::judge::{Granted, Known};
use watchkeep_agent::policy::Policy;
use watchkeep_protocol::{Action, Command, CommandResult, Outcome};

use super::timeline::Timeline;
use crate::chance::Chance;

/// What the hosts of the simulation allow: what the shipped packs do.
const POLICY: &str = "allow:
  - run: {argv: [/usr/bin/*, '*']}
  - run: {argv: [/bin/*, '*']}
  - service: {name: ['*.service'], state: [restarted]}
";

/// One `act`, up or down.
pub struct Act {
    agent: String,
    folder: PathBuf,
    keys: Vec<Vec<u8>>,
    policy: Result<Policy, String>,
    up: Option<Up>,
    /// How often each command id was carried out, over all lives: the promise that the simulation holds `act` to.
    pub carried: BTreeMap<Vec<u8>, u32>,
    /// The same by run, step and attempt.
    pub attempts: BTreeMap<(String, u32, u32), u32>,
}

/// What ends with the process.
struct Up {
    known: Known,
    journal: Journal,
    under_way: Vec<UnderWay>,
    /// The next ticket to hand over on this connection.
    next: u64,
}

struct UnderWay {
    ends_at: u64,
    action: Action,
    result: CommandResult,
}

impl Act {
    /// # Errors
    /// The folder cannot be made.
    pub fn new(agent: &str, folder: &Path, keys: Vec<Vec<u8>>) -> Result<Self> {
        std::fs::create_dir_all(folder).with_context(|| format!("make \"{}\"", folder.display()))?;
        let policy = Policy::parse("policy.yaml", POLICY).map_err(|faults| faults.to_string());
        let (agent, folder) = (agent.to_owned(), folder.to_owned());
        Ok(Self { agent, folder, keys, policy, up: None, carried: BTreeMap::new(), attempts: BTreeMap::new() })
    }

    /// The `act` of a host that was cloned: it begins with what is in this one's journal.
    ///
    /// # Errors
    /// The folder cannot be copied.
    pub fn cloned(&self, folder: &Path) -> Result<Self> {
        let cloned = Self::new(&self.agent, folder, self.keys.clone())?;
        for entry in std::fs::read_dir(&self.folder).with_context(|| format!("list \"{}\"", self.folder.display()))? {
            let file = entry.context("list act's folder")?;
            std::fs::copy(file.path(), folder.join(file.file_name())).context("copy act's journal")?;
        }
        Ok(cloned)
    }

    /// Its host is enrolled under this name from its next start on.
    pub fn rename(&mut self, agent: &str) {
        agent.clone_into(&mut self.agent);
    }

    pub fn is_up(&self) -> bool {
        self.up.is_some()
    }

    /// # Errors
    /// The journal cannot be read.
    pub fn start(&mut self, wall_ms: i64) -> Result<()> {
        let journal = Journal::open(&self.folder, wall_ms).context("open act's journal")?;
        let known = Known::new(self.agent.clone(), self.keys.clone(), journal.epoch());
        self.up = Some(Up { known, journal, under_way: Vec::new(), next: 0 });
        Ok(())
    }

    /// The process ends in the middle of what it did; a line that it was writing may be there in part.
    ///
    /// # Errors
    /// The journal's file cannot be written.
    pub fn crash(&mut self, chance: &mut Chance) -> Result<()> {
        if self.up.take().is_some() && chance.below(2) == 0 {
            let torn = &b"0badc0de {\"entry\":\"begun\",\"id\":\"AAAA"[..1 + chance.below(36) as usize];
            let path = self.folder.join("journal");
            let mut file = OpenOptions::new().append(true).open(&path).context("open act's journal")?;
            file.write_all(torn).context("tear the last line of act's journal")?;
        }
        Ok(())
    }

    /// Draws a nonce for a hello; none while it is down. The network process is new or connected anew.
    pub fn greet(&mut self, nonce: [u8; 16], since_boot_ms: u64) -> Option<(Vec<u8>, u64)> {
        let up = self.up.as_mut()?;
        up.known.drew(nonce, since_boot_ms);
        Some((nonce.to_vec(), up.known.epoch))
    }

    /// The network process connects: results that wait are handed over from the first.
    pub fn connected(&mut self) {
        if let Some(up) = &mut self.up {
            up.next = 0;
        }
    }

    /// Judges a command and begins it, or refuses it.
    pub fn take(&mut self, command: &Command, now: u64, wall_ms: i64, chance: &mut Chance, timeline: &mut Timeline) {
        let Some(up) = &mut self.up else { return };
        let seen = |id: &[u8]| up.journal.has_seen(id);
        match up.known.judge(command, now, seen, &self.policy) {
            Err(refusal) => {
                timeline.say(&self.agent, format!("act refuses {}: {}", refusal.claimed.run, refusal.word));
                let _told = up.journal.refused(refusal.result(wall_ms));
            }
            Ok(granted) if up.journal.has_room() => {
                let result = CommandResult { started_ms: wall_ms, ..granted.result() };
                if up.journal.begun(granted.body.epoch, &result).is_ok() {
                    up.known.epoch = up.journal.epoch();
                    let ends_at = now + 50 + chance.below(4_000);
                    timeline.say(&self.agent, format!("act begins {}", granted.sentence()));
                    Self::note(&mut self.carried, &mut self.attempts, &granted);
                    up.under_way.push(UnderWay { ends_at, action: granted.action, result });
                }
            }
            Ok(_) => {}
        }
    }

    fn note(carried: &mut BTreeMap<Vec<u8>, u32>, attempts: &mut BTreeMap<(String, u32, u32), u32>, granted: &Granted) {
        let body = &granted.body;
        *carried.entry(body.id.clone()).or_default() += 1;
        *attempts.entry((body.run.clone(), body.step, body.attempt)).or_default() += 1;
    }

    /// Ends what has run its time; the units that were restarted.
    pub fn finish(&mut self, now: u64, wall_ms: i64, chance: &mut Chance) -> Vec<String> {
        let Some(up) = &mut self.up else { return Vec::new() };
        let (ended, on): (Vec<_>, Vec<_>) =
            std::mem::take(&mut up.under_way).into_iter().partition(|one| one.ends_at <= now);
        up.under_way = on;
        let mut restarted = Vec::new();
        for UnderWay { action, mut result, .. } in ended {
            let good = chance.below(6) > 0;
            result.finished_ms = wall_ms;
            result.outcome = if good { Outcome::Done } else { Outcome::Failed } as i32;
            result.exit = Some(i32::from(!good));
            result.stdout = b"what it said".to_vec();
            if let (Action::Service(service), true) = (action, good) {
                result.changed = true;
                restarted.push(service.name);
            }
            // What the disk refuses is `Unknown` after the next start; it is handed over all the same.
            let _told = up.journal.ended(result);
        }
        restarted
    }

    /// The next result that waits for the network process.
    pub fn next_result(&mut self) -> Option<(u64, CommandResult)> {
        let up = self.up.as_mut()?;
        let (ticket, result) = up.journal.waiting_from(up.next).map(|(ticket, result)| (ticket, result.clone()))?;
        up.next = ticket + 1;
        Some((ticket, result))
    }

    /// A result is durable in the spool.
    pub fn kept(&mut self, ticket: u64) {
        if let Some(up) = &mut self.up {
            let _told = up.journal.kept(ticket);
        }
    }

    /// The spool did not take a result: it is handed over again.
    pub fn not_kept(&mut self, ticket: u64) {
        if let Some(up) = &mut self.up {
            up.next = ticket;
        }
    }

    /// Whether nothing is under way and nothing waits.
    pub fn is_quiet(&self) -> bool {
        self.up.as_ref().is_some_and(|up| up.under_way.is_empty() && up.journal.waiting_from(0).is_none())
    }
}
