//! What goes wrong with a host, its line and the controller.

use anyhow::Result;

use super::super::broker::Weather;
use super::{Due, World};

impl World {
    /// What may go wrong with a host now.
    pub(super) fn trouble_host(&mut self, host: usize) -> Result<()> {
        let now = self.timeline.now;
        match self.chance.below(1_500) {
            0..=3 => self.cut(host),
            4..=6 => {
                let power = self.chance.below(2) == 0;
                let back_at = now + 500 + self.chance.below(15_000);
                if let Some(connection) = self.hosts[host].crash(power, back_at, &mut self.timeline)?
                    && !power
                    && !self.is_cut(host)
                {
                    let delay = self.chance.below(200);
                    self.after(delay, Due::Closed { host, connection });
                }
            }
            7..=8 => {
                let back_at = now + 200 + self.chance.below(10_000);
                self.hosts[host].crash_act(back_at, &mut self.timeline)?;
            }
            20..=27 => self.hosts[host].take_snapshot(&mut self.timeline),
            28..=33 => {
                let back_at = now + 500 + self.chance.below(15_000);
                if let Some(connection) = self.hosts[host].restore_snapshot(back_at, &mut self.timeline)?
                    && !self.is_cut(host)
                {
                    self.after(10, Due::Closed { host, connection });
                }
            }
            34 => self.clone_host(host)?,
            9..=12 => {
                let operation = 1 + self.chance.below(6);
                self.hosts[host].disk.fail_at(operation);
            }
            _ => {}
        }
        Ok(())
    }

    pub(super) fn cut(&mut self, host: usize) {
        let length = 500 + self.chance.below(50_000);
        self.lines[host].cut_until = self.timeline.now + length;
        let name = self.hosts[host].name.clone();
        self.timeline.say("network", format!("the line to {name} is cut for {length} ms"));
    }

    /// What may go wrong with the controller now.
    pub(super) fn trouble_controller(&mut self) -> Result<()> {
        match self.chance.below(600) {
            0..=1 => self.kill_controller()?,
            2..=9 => {
                let step = 1 + self.chance.below(40);
                self.controller.fault.arm(step);
            }
            10 => self.controller.reload(&mut self.timeline),
            _ => {}
        }
        Ok(())
    }

    pub(super) fn kill_controller(&mut self) -> Result<()> {
        let back_at = self.timeline.now + 100 + self.chance.below(10_000);
        self.controller.crash(back_at, &mut self.chance, &mut self.timeline)?;
        self.turn_waits = false;
        self.due.retain(|_, due| !matches!(due, Due::Turn));
        for host in 0..self.hosts.len() {
            // Its broker ends with it; agents are told unless their line is cut.
            if let Some(taken) = self.lines[host].taken.take()
                && !self.is_cut(host)
            {
                let delay = self.chance.below(200);
                self.after(delay, Due::Refused { host, connection: taken.connection });
            }
        }
        Ok(())
    }

    pub(super) fn calm(&mut self) {
        self.timeline.say("weather", "calm");
        self.weather = Weather::CALM;
        self.controller.fault.arm(0);
        for line in &mut self.lines {
            line.cut_until = 0;
        }
    }
}
