//! Hosts that are cloned while they live: two agents under one name, with one certificate and one spool.
//!
//! The controller has to notice it while both are connected, to keep both out, and to let both in again once somebody has
//! enrolled them anew, under one name each. Nothing that either has seen may be lost over it.

use anyhow::{Result, ensure};
use watchkeep::fleet::gate::Refusal;

use super::{Due, World};
use crate::simulation::broker::Line;
use crate::simulation::invariants;

/// Of hosts there are so many at most, clones with them.
const HOSTS_MAX: usize = 6;
/// Two that are connected under one name are noticed within this: what the older says is taken for what was on its way for
/// 10 s, and then it has to say something that is not lost.
const NOTICED: u64 = 30_000;

/// A host and its clone, until both are enrolled again.
pub(super) struct Twins {
    hosts: [usize; 2],
    /// Since when both are connected and the controller has heard it without a break, and how often it had failed by then.
    both: Option<(u64, u64)>,
    /// When somebody enrols them again, and whom of them first.
    mended: Option<(u64, usize)>,
    /// The names and serials that they got.
    granted: [Option<(String, String)>; 2],
}

impl World {
    /// Somebody clones a host; once a host.
    pub(super) fn clone_host(&mut self, host: usize) -> Result<()> {
        if self.hosts.len() >= HOSTS_MAX || self.hosts[host].cloned {
            return Ok(());
        }
        let back_at = self.timeline.now + self.chance.below(10_000);
        let chance = crate::chance::Chance::of(self.chance.draw());
        let folder = self.folder.path().join(format!("{}-clone", self.hosts[host].name));
        let clone = self.hosts[host].clone_to(&folder, back_at, chance)?;
        let name = self.hosts[host].name.clone();
        self.timeline.say("hypervisor", format!("{name} is cloned, and {} will be started beside it", clone.name));
        self.hosts.push(clone);
        self.lines.push(Line::default());
        let hosts = [host, self.hosts.len() - 1];
        self.after(1, Due::Host(hosts[1]));
        self.twins.push(Twins { hosts, both: None, mended: None, granted: [None, None] });
        Ok(())
    }

    /// Two under one name are noticed, and nobody else is kept out; what was noticed is mended.
    ///
    /// # Errors
    /// The sentence of what does not hold.
    pub(super) fn watch_clones(&mut self) -> Result<()> {
        for (number, host) in self.hosts.iter().enumerate() {
            let is_twin = self.twins.iter().any(|twins| twins.hosts.contains(&number));
            ensure!(is_twin || !self.is_quarantined(number), "{} is in quarantine, and is the only one", host.name);
        }
        for mut twins in std::mem::take(&mut self.twins) {
            let is_mended = if twins.mended.is_some() { self.mend(&mut twins)? } else { self.notice(&mut twins)? };
            if is_mended {
                self.clones += 1;
            } else {
                self.twins.push(twins);
            }
        }
        Ok(())
    }

    /// Whether two live under its name, unnoticed so far. Of reports the first of a number is taken then, and the other host
    /// may be told that it was: matters tell by their content whose they are, samples do not.
    pub(super) fn is_unnoticed_twin(&self, host: usize) -> bool {
        self.twins.iter().any(|twins| twins.mended.is_none() && twins.hosts.contains(&host))
    }

    fn is_quarantined(&self, host: usize) -> bool {
        let host = &self.hosts[host];
        self.controller.admit(&host.agent, &host.serial) == Err(Refusal::Quarantined)
    }

    /// Looks whether the controller has noticed the two; false, as nobody has mended it.
    fn notice(&mut self, twins: &mut Twins) -> Result<bool> {
        let (now, failures) = (self.timeline.now, self.controller.failures);
        let [first, second] = twins.hosts.map(|host| &self.hosts[host].name);
        if self.is_quarantined(twins.hosts[0]) {
            let is_one_in = twins.hosts.iter().any(|host| self.lines[*host].taken.is_some());
            ensure!(!is_one_in, "{first} and {second} are in quarantine, and one of them is connected");
            self.timeline.say("people", format!("see that {first} and {second} are in quarantine"));
            let (pause, first) = (self.chance.below(30_000), self.chance.below(2) as usize);
            twins.mended = Some((now + pause, first));
            return Ok(false);
        }
        let is_in = |host: &usize| self.hosts[*host].is_connected() && self.lines[*host].taken.is_some();
        let both = twins.hosts.iter().all(|host| is_in(host) && !self.is_cut(*host)) && self.controller.is_up();
        let since = twins.both.filter(|(_, before)| *before == failures).map_or(now, |(since, _)| since);
        twins.both = both.then_some((since, failures));
        let unnoticed = twins.both.map_or(0, |(since, _)| now - since);
        let seconds = unnoticed / 1_000;
        ensure!(unnoticed <= NOTICED, "{first} and {second} live under one name for {seconds} s, and nobody noticed");
        Ok(false)
    }

    /// Enrols both again, one after the other; whether that is done.
    fn mend(&mut self, twins: &mut Twins) -> Result<bool> {
        let Some((at, first)) = twins.mended.filter(|(at, _)| *at <= self.timeline.now) else { return Ok(false) };
        if twins.granted.iter().all(Option::is_none) {
            let [one, other] = twins.hosts.map(|host| &self.hosts[host]);
            self.seen.twice.extend(invariants::shared_commands(one, other));
        }
        let next = [first, 1 - first].into_iter().find(|which| !self.is_enrolled(twins, *which));
        let Some(which) = next else { return Ok(true) };
        let (host, now) = (twins.hosts[which], self.now());
        let Some((agent, serial)) = &twins.granted[which] else {
            if self.controller.is_up() {
                // The first has taken the name by now, so the other gets one with a suffix.
                let wanted = self.hosts[host].agent.clone();
                twins.granted[which] = Some(self.controller.enrol(&wanted, now)?);
                self.after_step();
            }
            return Ok(false);
        };
        // The certificate is handed out once the desk knows of it.
        if self.controller.admit(agent, serial).is_ok() {
            if let Some(connection) = self.hosts[host].enrol(agent, serial, &mut self.timeline)? {
                self.after(10, Due::Closed { host, connection });
            }
        } else {
            let waited = self.timeline.now.saturating_sub(at);
            ensure!(waited < 300_000, "{} was enrolled again as {agent}, and is not let in", self.hosts[host].name);
        }
        Ok(false)
    }

    fn is_enrolled(&self, twins: &Twins, which: usize) -> bool {
        let host = &self.hosts[twins.hosts[which]];
        twins.granted[which].as_ref().is_some_and(|(_, serial)| *serial == host.serial)
    }
}
