//! The life of the observer: find systemd, hear it, and hand over what it means.

use std::convert::Infallible;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::{mpsc, oneshot};
use watchkeep_protocol::Event;

use super::memory::Memory;
use super::{Change, Listed, Service, Sighting, Units, polled};

/// systemd makes this folder when it is process 1 (sd_booted(3)).
const BOOTED: &str = "/run/systemd/system";
const NO_SYSTEMD: &str = "this host does not run systemd";
/// How long a command that only shows waits for systemd.
const LOOK_WITHIN: Duration = Duration::from_secs(5);
/// Between looks for a systemd where there is none.
const NO_SYSTEMD_PAUSE: Duration = Duration::from_secs(600);
/// Between attempts to hear systemd; doubles up to the second.
const RETRY_FIRST: Duration = Duration::from_millis(500);
const RETRY_MOST: Duration = Duration::from_secs(60);
/// Before a sighting that was not kept is offered again.
const AGAIN_PAUSE: Duration = Duration::from_secs(1);

/// Hears systemd until nobody takes what it sees.
pub struct Observer {
    teller: Teller,
}

/// Why hearing ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum HearError {
    /// Nobody takes sightings any more: the agent is stopping.
    #[error("nobody takes what is observed")]
    NobodyListens,
    #[cfg(feature = "dbus")]
    #[error("{doing}")]
    Bus { doing: &'static str, source: Box<zbus::Error> },
    #[cfg(feature = "dbus")]
    #[error("the bus closed the connection")]
    BusClosed,
    #[error("{doing}: {found}")]
    Systemctl { doing: &'static str, found: String },
}

impl Observer {
    /// `state` is the agent's own directory, `boot_id` the kernel's; `units` is shared with collectors and inventory, and
    /// `out` is bounded: while it is full, hearing waits and catches up by list.
    pub fn new(state: &Path, boot_id: &str, units: Arc<Mutex<Units>>, out: mpsc::Sender<Sighting>) -> Self {
        let memory = Memory::open(state, boot_id);
        lock(&units).recall(memory.of_this_boot());
        Self { teller: Teller { units, memory, out } }
    }

    /// Runs until the receiver of sightings is dropped.
    pub async fn run(mut self) {
        let mut pause = RETRY_FIRST;
        let mut told_of_none = false;
        loop {
            if !Path::new(BOOTED).exists() {
                if !told_of_none {
                    tracing::info!("this host does not run systemd: no units are observed; looking again now and then");
                    told_of_none = true;
                }
                self.teller.units().lost(NO_SYSTEMD);
                tokio::time::sleep(NO_SYSTEMD_PAUSE).await;
                continue;
            }
            let began = Instant::now();
            let Err(fault) = self.hear(pause >= RETRY_MOST).await;
            if matches!(fault, HearError::NobodyListens) {
                return;
            }
            if began.elapsed() > RETRY_MOST {
                pause = RETRY_FIRST;
            }
            tracing::warn!(fault = &fault as &dyn std::error::Error, next_try = ?pause, "systemd is not heard");
            self.teller.units().lost(format!("systemd is not heard: {fault}"));
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(RETRY_MOST);
        }
    }

    /// Over D-Bus; by `systemctl` where D-Bus has failed for long, or is not built in.
    #[cfg(feature = "dbus")]
    async fn hear(&mut self, bus_failed_long: bool) -> Result<Infallible, HearError> {
        match super::bus::hear(&mut self.teller).await {
            Err(fault @ HearError::Bus { .. }) if bus_failed_long => {
                tracing::warn!(
                    fault = &fault as &dyn std::error::Error,
                    "no D-Bus; asking systemctl instead for a while"
                );
                polled::hear(&mut self.teller, polled::ROUNDS_BEFORE_THE_BUS_IS_TRIED).await
            }
            other => other,
        }
    }

    #[cfg(not(feature = "dbus"))]
    async fn hear(&mut self, _: bool) -> Result<Infallible, HearError> {
        tracing::info!("built without D-Bus: asking systemctl every {:?}", polled::PAUSE);
        polled::hear(&mut self.teller, u32::MAX).await
    }
}

/// Asks systemd once, for a command that only shows: nothing is remembered, and what changed is no event.
pub async fn look(units: Arc<Mutex<Units>>) {
    if !Path::new(BOOTED).exists() {
        return lock(&units).lost(NO_SYSTEMD);
    }
    let (out, mut seen) = mpsc::channel::<Sighting>(1);
    let mut observer = Observer { teller: Teller { units: Arc::clone(&units), memory: Memory::none(), out } };
    let known = async {
        while lock(&units).unavailable().is_some() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let taking = async {
        while let Some(sighting) = seen.recv().await {
            // Nobody waits for it any more once the list is known.
            let _ = sighting.kept.send(());
        }
    };
    let failed = tokio::select! {
        () = known => return,
        () = taking => return,
        Err(fault) = observer.hear(false) => fault.to_string(),
        () = tokio::time::sleep(LOOK_WITHIN) => format!("systemd has not answered in {LOOK_WITHIN:?}"),
    };
    lock(&units).lost(failed);
}

/// Keeps the units true and hands over what a change means.
pub(super) struct Teller {
    units: Arc<Mutex<Units>>,
    memory: Memory,
    out: mpsc::Sender<Sighting>,
}

impl Teller {
    pub fn units(&self) -> MutexGuard<'_, Units> {
        lock(&self.units)
    }

    /// Takes a list of all units, and tells what changed unheard.
    pub async fn listed(&mut self, list: Vec<Listed>) -> Result<(), HearError> {
        let mut changes = self.units().listed(list);
        let earlier = self.memory.of_another_boot();
        let failed: Vec<String> = self.units().failed().map(|(unit, _)| unit.to_owned()).collect();
        let well_since = earlier.into_iter().filter(|unit| !failed.contains(unit));
        changes.extend(well_since.map(|unit| Change::Recovered { unit, how: "reboot" }));
        self.tell(changes).await
    }

    /// Takes one unit's state, and tells what it means.
    pub async fn changed(&mut self, unit: &str, state: Service, result: &str) -> Result<(), HearError> {
        let change = self.units().changed(unit, state, result);
        self.tell(change).await
    }

    /// Takes that a unit is no longer loaded, and tells what it means.
    pub async fn removed(&mut self, unit: &str) -> Result<(), HearError> {
        let change = self.units().removed(unit);
        self.tell(change).await
    }

    /// Returns once every change is durable and remembered.
    async fn tell(&mut self, changes: impl IntoIterator<Item = Change>) -> Result<(), HearError> {
        let at_ms = now_ms();
        for change in changes {
            tracing::info!(unit = change.unit(), "{}", change.event().text);
            hand_over(&self.out, at_ms, &change.event()).await?;
        }
        // The guard must not live across an await, nor while the file is written.
        let failed: Vec<(String, String)> =
            self.units().failed().map(|(unit, result)| (unit.to_owned(), result.to_owned())).collect();
        if let Err(fault) = self.memory.keep(failed.iter().map(|(unit, result)| (unit.as_str(), result.as_str()))) {
            tracing::warn!(%fault, "what was observed is not remembered; it is reported again after a restart");
        }
        Ok(())
    }
}

/// Returns once the event is durable.
///
/// # Errors
/// Nobody takes sightings any more.
pub(super) async fn hand_over(out: &mpsc::Sender<Sighting>, at_ms: i64, event: &Event) -> Result<(), HearError> {
    loop {
        let (kept, is_kept) = oneshot::channel();
        let sighting = Sighting { at_ms, event: event.clone(), kept };
        out.send(sighting).await.map_err(|_| HearError::NobodyListens)?;
        if is_kept.await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(AGAIN_PAUSE).await;
    }
}

fn lock(units: &Mutex<Units>) -> MutexGuard<'_, Units> {
    units.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

#[cfg(test)]
mod tests {
    use super::super::ActiveState;
    use super::*;

    fn listed(name: &str, active: &str) -> Listed {
        let (sub, description, service_type) = (String::new(), String::new(), String::new());
        let state = Service { active: ActiveState::parse(active), sub, description, service_type };
        Listed { name: name.to_owned(), state, result: "signal".to_owned() }
    }

    fn teller(state: &Path, boot: &str) -> (Teller, mpsc::Receiver<Sighting>) {
        let (out, seen) = mpsc::channel(8);
        (Observer::new(state, boot, Arc::default(), out).teller, seen)
    }

    /// Lists units to a new teller, keeping each event; says what was seen.
    async fn listing(state: &Path, boot: &str, list: Vec<Listed>) -> Vec<String> {
        let (mut teller, mut seen) = teller(state, boot);
        let keeping = tokio::spawn(async move {
            let mut texts = Vec::new();
            while let Some(sighting) = seen.recv().await {
                texts.push(sighting.event.text);
                let _ = sighting.kept.send(());
            }
            texts
        });
        teller.listed(list).await.expect("is told");
        drop(teller);
        keeping.await.expect("keeps")
    }

    #[tokio::test]
    async fn a_failure_is_told_once_a_boot_over_restarts_of_the_agent() {
        let state = tempfile::tempdir().expect("a temporary directory");
        let failed = || vec![listed("a.service", "failed")];
        assert_eq!(listing(state.path(), "boot-1", failed()).await, ["a.service failed (result: signal)"]);
        assert!(listing(state.path(), "boot-1", failed()).await.is_empty());
        assert_eq!(listing(state.path(), "boot-2", failed()).await, ["a.service failed (result: signal)"]);
    }

    #[tokio::test]
    async fn what_recovered_while_the_agent_was_away_is_told() {
        let state = tempfile::tempdir().expect("a temporary directory");
        listing(state.path(), "boot-1", vec![listed("a.service", "failed"), listed("b.service", "failed")]).await;
        let now = vec![listed("a.service", "active"), listed("b.service", "failed")];
        assert_eq!(listing(state.path(), "boot-1", now).await, ["a.service runs again"]);
        let after_reboot = vec![listed("b.service", "activating")];
        let told = listing(state.path(), "boot-2", after_reboot).await;
        assert_eq!(told, ["b.service had failed before the host started anew"]);
    }

    #[tokio::test]
    async fn an_event_that_was_not_kept_comes_again_and_is_not_remembered_before() {
        tokio::time::pause();
        let state = tempfile::tempdir().expect("a temporary directory");
        let (mut first, mut seen) = teller(state.path(), "boot-1");
        let telling = tokio::spawn(async move { first.listed(vec![listed("a.service", "failed")]).await });
        drop(seen.recv().await.expect("is told").kept);
        let again = seen.recv().await.expect("is told again");
        assert_eq!(again.event.labels["unit"], "a.service");
        assert!(Memory::open(state.path(), "boot-1").of_this_boot().is_empty(), "it is not kept yet");
        again.kept.send(()).expect("somebody waits");
        telling.await.expect("runs").expect("is told");
        assert_eq!(Memory::open(state.path(), "boot-1").of_this_boot().len(), 1);
    }
}
