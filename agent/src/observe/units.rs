//! Which units there are and what a change of their state means. No I/O, no clock.

use std::collections::BTreeMap;

use watchkeep_protocol::Event;

/// A unit's `ActiveState`, in systemd's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActiveState {
    Active,
    Activating,
    Deactivating,
    Inactive,
    Failed,
    /// `reloading`, `maintenance`, `refreshing`: between others; no event follows from them.
    Other,
}

impl ActiveState {
    /// The states of `node_systemd_unit_state`, in node_exporter's order.
    pub const NODE_EXPORTER: [Self; 5] =
        [Self::Active, Self::Activating, Self::Deactivating, Self::Inactive, Self::Failed];

    pub fn parse(word: &str) -> Self {
        Self::NODE_EXPORTER.into_iter().find(|state| state.word() == word).unwrap_or(Self::Other)
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Activating => "activating",
            Self::Deactivating => "deactivating",
            Self::Inactive => "inactive",
            Self::Failed => "failed",
            Self::Other => "other",
        }
    }
}

/// A service unit as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    pub active: ActiveState,
    /// `running`, `exited`, `dead`, `auto-restart` …
    pub sub: String,
    pub description: String,
    /// systemd's `Type=`: `simple`, `forking`, `oneshot` …; empty where it was not asked for.
    pub service_type: String,
}

/// One unit of a list of all that are loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub name: String,
    pub state: Service,
    /// For a failed unit: systemd's `Result`.
    pub result: String,
}

/// What a change of state means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// `result` is systemd's: `exit-code`, `signal`, `core-dump`, `timeout`, `start-limit-hit` …; empty where unknown.
    Failed { unit: String, result: String },
    /// `how`: `active` (it runs again), `finished` (it ran to its end), `reset` (`systemctl reset-failed`, or stopped by
    /// hand), `gone` (no longer loaded), `reboot` (it failed before the host started anew).
    Recovered { unit: String, how: &'static str },
}

/// A unit that failed and has not recovered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Failure {
    result: String,
    /// It was started again since; where that ends in `failed`, it is a new failure.
    started_again: bool,
}

/// All that is known of the host's units. Starts as "not known yet".
#[derive(Clone, Debug)]
pub struct Units {
    /// By name.
    pub services: BTreeMap<String, Service>,
    /// Units of every type.
    failed: BTreeMap<String, Failure>,
    /// systemd's own startup is over.
    started_up: bool,
    unavailable: Option<String>,
}

impl Default for Units {
    fn default() -> Self {
        let (services, failed) = (BTreeMap::new(), BTreeMap::new());
        Self { services, failed, started_up: false, unavailable: Some("systemd was not asked yet".to_owned()) }
    }
}

impl Units {
    /// Why nothing is known, where that is so.
    pub fn unavailable(&self) -> Option<&str> {
        self.unavailable.as_deref()
    }

    /// Nothing is heard any more; what failed stays remembered for the next list.
    pub fn lost(&mut self, why: impl Into<String>) {
        self.unavailable = Some(why.into());
    }

    /// Units (of every type) that failed and have not recovered, with systemd's `Result`.
    pub fn failed(&self) -> impl Iterator<Item = (&str, &str)> {
        self.failed.iter().map(|(unit, failure)| (unit.as_str(), failure.result.as_str()))
    }

    /// What was reported failed before the agent last stopped, and has not been reported recovered.
    pub fn recall(&mut self, failed: impl IntoIterator<Item = (String, String)>) {
        for (unit, result) in failed {
            self.failed.insert(unit, Failure { result, started_again: false });
        }
    }

    /// What systemd calls `running`: started up, and no unit failed.
    pub fn services_all_run(&self) -> bool {
        self.started_up && self.failed.is_empty()
    }

    /// systemd's startup is over, or begins anew.
    pub fn set_started_up(&mut self, over: bool) {
        self.started_up = over;
    }

    /// Takes the whole list as the truth and says what changed unheard.
    pub fn listed(&mut self, list: Vec<Listed>) -> Vec<Change> {
        self.unavailable = None;
        let gone: Vec<String> = self
            .failed
            .keys()
            .chain(self.services.keys())
            .filter(|known| !list.iter().any(|listed| listed.name == **known))
            .cloned()
            .collect();
        let mut changes: Vec<Change> = gone.iter().filter_map(|unit| self.removed(unit)).collect();
        for unit in list {
            changes.extend(self.changed(&unit.name, unit.state, &unit.result));
        }
        changes
    }

    /// A unit was loaded or is in another state. An empty description or type keeps the known one.
    pub fn changed(&mut self, unit: &str, mut state: Service, result: &str) -> Option<Change> {
        let active = state.active;
        if unit.ends_with(".service") {
            if let Some(known) = self.services.remove(unit) {
                keep_unless_said(&mut state.description, known.description);
                keep_unless_said(&mut state.service_type, known.service_type);
            }
            self.services.insert(unit.to_owned(), state);
        }
        self.judge(unit, active, result)
    }

    /// A unit is no longer loaded.
    pub fn removed(&mut self, unit: &str) -> Option<Change> {
        self.services.remove(unit);
        self.failed.remove(unit).map(|_| Change::Recovered { unit: unit.to_owned(), how: "gone" })
    }

    fn judge(&mut self, unit: &str, active: ActiveState, result: &str) -> Option<Change> {
        let unit_name = || unit.to_owned();
        match (active, self.failed.get_mut(unit)) {
            (ActiveState::Failed, Some(failure)) if !failure.started_again => None,
            (ActiveState::Failed, _) => {
                let failure = Failure { result: result.to_owned(), started_again: false };
                self.failed.insert(unit_name(), failure);
                Some(Change::Failed { unit: unit_name(), result: result.to_owned() })
            }
            (ActiveState::Activating, Some(failure)) => {
                failure.started_again = true;
                None
            }
            (ActiveState::Active, Some(_)) => {
                self.failed.remove(unit);
                Some(Change::Recovered { unit: unit_name(), how: "active" })
            }
            (ActiveState::Inactive, Some(failure)) => {
                let how = if failure.started_again { "finished" } else { "reset" };
                self.failed.remove(unit);
                Some(Change::Recovered { unit: unit_name(), how })
            }
            _ => None,
        }
    }
}

impl Change {
    pub fn unit(&self) -> &str {
        match self {
            Self::Failed { unit, .. } | Self::Recovered { unit, .. } => unit,
        }
    }

    /// The event that rules see: labels `kind`, `unit`, and `result` or `how`.
    pub fn event(&self) -> Event {
        let (kind, more, text) = match self {
            Self::Failed { unit, result } => {
                let why = if result.is_empty() { String::new() } else { format!(" (result: {result})") };
                ("unit_failed", ("result", result.as_str()), format!("{unit} failed{why}"))
            }
            Self::Recovered { unit, how } => {
                let words = match *how {
                    "active" => "runs again",
                    "finished" => "ran to its end",
                    "gone" => "is no longer loaded",
                    "reboot" => "had failed before the host started anew",
                    _ => "was reset by hand",
                };
                ("unit_recovered", ("how", *how), format!("{unit} {words}"))
            }
        };
        let labels = [("kind", kind), ("unit", self.unit()), more];
        let said = labels.into_iter().filter(|(_, value)| !value.is_empty());
        Event { labels: said.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(), text }
    }
}

fn keep_unless_said(new: &mut String, known: String) {
    if new.is_empty() {
        *new = known;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(active: &str) -> Service {
        let (sub, description, service_type) = (String::new(), String::new(), String::new());
        Service { active: ActiveState::parse(active), sub, description, service_type }
    }

    fn listed(name: &str, active: &str, result: &str) -> Listed {
        Listed { name: name.to_owned(), state: service(active), result: result.to_owned() }
    }

    /// Walks one unit through states; says what each step means: `!result`, `how`, or `-`.
    fn walk(states: &[&str]) -> Vec<String> {
        let mut units = Units::default();
        let steps = states.iter().map(|state| match units.changed("a.service", service(state), "signal") {
            Some(Change::Failed { result, .. }) => format!("!{result}"),
            Some(Change::Recovered { how, .. }) => how.to_owned(),
            None => "-".to_owned(),
        });
        steps.collect()
    }

    #[test]
    fn what_a_walk_through_states_means() {
        let cases: [(&[&str], &[&str]); 8] = [
            (&["active", "deactivating", "inactive", "activating", "active"], &["-", "-", "-", "-", "-"]),
            (&["active", "failed", "activating", "active"], &["-", "!signal", "-", "active"]),
            (&["active", "failed", "failed", "inactive"], &["-", "!signal", "-", "reset"]),
            (&["failed", "activating", "failed", "active"], &["!signal", "-", "!signal", "active"]),
            (&["failed", "activating", "inactive"], &["!signal", "-", "finished"]),
            (&["failed", "activating", "deactivating", "failed"], &["!signal", "-", "-", "!signal"]),
            (&["failed", "maintenance", "failed"], &["!signal", "-", "-"]),
            (&["failed", "active", "failed"], &["!signal", "active", "!signal"]),
        ];
        for (states, meanings) in cases {
            assert_eq!(walk(states), meanings, "{states:?}");
        }
    }

    #[test]
    fn a_list_tells_what_changed_unheard() {
        let mut units = Units::default();
        units.recall([("old.service".to_owned(), "signal".to_owned()), ("well.service".to_owned(), String::new())]);
        units.recall([("still.mount".to_owned(), "exit-code".to_owned())]);
        let changes = units.listed(vec![
            listed("well.service", "active", ""),
            listed("new.service", "failed", "exit-code"),
            listed("still.mount", "failed", "exit-code"),
        ]);
        let expected = [
            Change::Recovered { unit: "old.service".to_owned(), how: "gone" },
            Change::Recovered { unit: "well.service".to_owned(), how: "active" },
            Change::Failed { unit: "new.service".to_owned(), result: "exit-code".to_owned() },
        ];
        assert_eq!(changes, expected);
        assert_eq!(units.failed().map(|(unit, _)| unit).collect::<Vec<_>>(), ["new.service", "still.mount"]);
        assert_eq!(units.services.len(), 2, "a mount is no service");
    }

    #[test]
    fn the_system_runs_once_started_up_with_nothing_failed() {
        let mut units = Units::default();
        assert!(!units.services_all_run());
        units.set_started_up(true);
        assert!(units.services_all_run());
        units.changed("x.mount", service("failed"), "");
        assert!(!units.services_all_run(), "units of every type count");
        units.removed("x.mount");
        assert!(units.services_all_run());
    }

    #[test]
    fn a_change_keeps_what_it_does_not_say() {
        let mut units = Units::default();
        let full = Service { description: "A".to_owned(), service_type: "forking".to_owned(), ..service("active") };
        units.changed("a.service", full, "");
        units.changed("a.service", service("failed"), "signal");
        let known = &units.services["a.service"];
        assert_eq!((known.description.as_str(), known.service_type.as_str()), ("A", "forking"));
    }

    #[test]
    fn events_carry_only_labels_that_say_something() {
        let failed = Change::Failed { unit: "a.service".to_owned(), result: String::new() }.event();
        assert_eq!(failed.labels.keys().collect::<Vec<_>>(), ["kind", "unit"]);
        let recovered = Change::Recovered { unit: "a.service".to_owned(), how: "reset" }.event();
        assert_eq!(recovered.labels["how"], "reset");
        assert_eq!(recovered.text, "a.service was reset by hand");
    }
}
