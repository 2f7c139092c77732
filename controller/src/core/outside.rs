//! Alerts from outside on their way to the desk.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use watchkeep_desk::input::{AlertChange, AlertState};
use watchkeep_desk::{Desk, InputBody, Millis, incidents, silences};

use super::handle::{AskError, Handle};
use crate::detect::outside::{Labels, Outside, Posted};

/// Changes that are one input at most.
const AT_ONCE: usize = 256;
/// How often it is looked for what is over.
const LOOK: Duration = Duration::from_secs(1);

/// Which alerts from outside there are, for whoever takes them in; clones are made of the `Arc` around it.
#[derive(Debug)]
pub struct OutsideAlerts {
    table: Mutex<Outside>,
    core: Handle,
}

impl OutsideAlerts {
    /// With those that the desk knows to fire; they are believed for `timeout` from now, ms.
    ///
    /// # Errors
    /// The core has ended.
    pub async fn open(core: Handle, now: Millis, timeout: i64) -> Result<Self, AskError> {
        let mut table = Outside::default();
        for posted in core.look(|desk, _| known(desk)).await? {
            table.restore(posted, now.0, timeout);
        }
        Ok(Self { table: Mutex::new(table), core })
    }

    /// Takes what was sent, and returns when what follows from it is durable; how many found no room.
    ///
    /// # Errors
    /// The desk could not take all of it; sent again it loses nothing.
    pub async fn post(&self, alerts: Vec<Posted>, now: Millis, timeout: i64) -> Result<usize, AskError> {
        let mut refused = 0;
        self.tell(|table| {
            let step = table.post(alerts, now.0, timeout);
            refused = step.refused;
            step.changes
        })
        .await?;
        Ok(refused)
    }

    /// Until when an alert is believed; none where it is not from outside.
    pub fn ends_at(&self, labels: &Labels) -> Option<i64> {
        self.locked().ends_at(labels)
    }

    /// Ends what is over, until `stop` turns true.
    pub async fn run(self: Arc<Self>, now: fn() -> Millis, mut stop: watch::Receiver<bool>) {
        let mut tick = tokio::time::interval(LOOK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                _ = tick.tick() => {}
            }
            if let Err(error) = self.tell(|table| table.expire(now().0)).await {
                tracing::debug!(%error, "the end of alerts from outside is told again");
            }
        }
    }

    async fn tell(&self, step: impl FnOnce(&mut Outside) -> Vec<AlertChange>) -> Result<(), AskError> {
        let mut on_its_way = Vec::new();
        let mut full = Ok(());
        {
            // Handed over under the lock, so that the desk hears of an alert in the order in which it was sent.
            let mut table = self.locked();
            let mut changes = step(&mut table).into_iter().peekable();
            while changes.peek().is_some() && full.is_ok() {
                let alerts: Vec<AlertChange> = changes.by_ref().take(AT_ONCE).collect();
                let told: Vec<(Labels, AlertState)> =
                    alerts.iter().map(|change| (change.labels.clone(), change.state)).collect();
                match self.core.hand_in(InputBody::Alerts { alerts }) {
                    Ok(answer) => on_its_way.push((told, answer)),
                    Err(error) => full = Err(error),
                }
            }
        }
        for (told, answer) in on_its_way {
            answer.await?;
            let mut table = self.locked();
            told.iter().for_each(|(labels, state)| table.told(labels, *state));
        }
        full
    }

    fn locked(&self) -> MutexGuard<'_, Outside> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Alerts from outside that fire as far as the desk knows, in incidents and held back by silences.
fn known(desk: &Desk) -> Vec<Posted> {
    let members = desk.incidents().flat_map(|incident| &incident.alerts);
    let firing = members.filter(|alert| alert.standing == incidents::AlertStanding::Firing);
    let firing = firing.filter_map(|alert| {
        let source = alert.outside.clone()?;
        Some((alert.labels.clone(), alert.annotations.clone(), alert.first_seen.0, source))
    });
    let held = silences::suppressed(desk).filter_map(|kept| {
        let source = kept.alert.outside()?.to_owned();
        Some((kept.alert.labels, kept.alert.annotations, kept.alert.happened_at.0, source))
    });
    let posted = |(labels, annotations, starts_at, source)| Posted {
        labels,
        annotations,
        starts_at: Some(starts_at),
        ends_at: None,
        source,
    };
    firing.chain(held).map(posted).collect()
}
