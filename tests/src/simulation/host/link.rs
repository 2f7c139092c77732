//! The agent's link: what is due on it, what it is told and what it asks for.

use watchkeep_agent::link::{Input, Output, World, client_id};

use super::super::timeline::Timeline;
use super::{Host, Wish};

impl Host {
    /// MQTT's client id and the session of the process that runs.
    pub fn client(&self) -> Option<(String, [u8; 16])> {
        self.life.as_ref().map(|life| (client_id(&self.agent, &life.session), life.session))
    }

    /// The broker took connection `connection`.
    pub fn connected(&mut self, connection: u64, wall: i64, timeline: &mut Timeline) -> Vec<Wish> {
        let mut wishes = Vec::new();
        if let Some(life) = &mut self.life
            && life.connection == Some((connection, false))
        {
            life.connection = Some((connection, true));
            life.nonce_asked = false;
            timeline.say(&self.name, "connected");
            self.step(Input::Connected, wall, timeline, &mut wishes);
        }
        wishes
    }

    /// Connection `connection` is over, or did not come about.
    pub fn disconnected(&mut self, connection: u64, wall: i64, timeline: &mut Timeline) -> Vec<Wish> {
        let mut wishes = Vec::new();
        if let Some(life) = &mut self.life
            && life.connection.is_some_and(|(known, _)| known == connection)
        {
            life.connection = None;
            timeline.say(&self.name, "no connection");
            self.step(Input::Disconnected, wall, timeline, &mut wishes);
        }
        wishes
    }

    /// A message came down on connection `connection`.
    pub fn heard(
        &mut self,
        connection: u64,
        topic: &str,
        payload: &[u8],
        wall: i64,
        timeline: &mut Timeline,
    ) -> Vec<Wish> {
        let mut wishes = Vec::new();
        if self.life.as_ref().is_some_and(|life| life.connection == Some((connection, true))) {
            self.step(Input::Incoming { topic, payload }, wall, timeline, &mut wishes);
        }
        wishes
    }

    pub(super) fn step(&mut self, input: Input<'_>, wall: i64, timeline: &mut Timeline, wishes: &mut Vec<Wish>) {
        let Some(life) = &mut self.life else { return };
        let mut chance = || self.chance.draw();
        let mut world = World {
            now: timeline.now - life.began,
            wall_ms: wall + self.offset,
            chance: &mut chance,
            spool: &mut life.spool,
        };
        let outputs = life.link.step(input, &mut world);
        self.carry(outputs, wall, timeline, wishes);
    }

    pub(super) fn carry(&mut self, outputs: Vec<Output>, wall: i64, timeline: &mut Timeline, wishes: &mut Vec<Wish>) {
        for output in outputs {
            let own = self.wall(wall);
            let Some(life) = &mut self.life else { return };
            match output {
                Output::Connect { after_ms } => life.connect_at = Some(timeline.now + after_ms),
                Output::Reconnect { after_ms, why } => {
                    timeline.say(&self.name, format!("drops the connection: {why}"));
                    life.connect_at = Some(timeline.now + after_ms);
                    wishes.extend(life.connection.take().map(|(connection, _)| Wish::Drop { connection }));
                }
                Output::Publish { topic, payload } => wishes.push(Wish::Publish { topic, payload }),
                Output::Command(command) => {
                    self.act.take(&command, timeline.now, own, &mut self.chance, timeline);
                }
                Output::Sections(_) => life.inventory_sent = false,
                Output::Acked => {
                    let first = life.spool.matters().first;
                    assert!(
                        first >= life.first,
                        "the spool's mark of {} went back from {} to {first}",
                        self.name,
                        life.first
                    );
                    life.first = first;
                }
                Output::Note(note) => timeline.say(&self.name, format!("notes: {note}")),
            }
        }
    }
}
