//! The state of each service unit, as [`crate::observe`] hears it; nothing is asked of systemd here.

use watchkeep_protocol::MetricKind;
use watchkeep_protocol::layout::Template;

use super::table::Table;
use super::{CollectError, Collector, Given, metric, template};
use crate::observe::{ActiveState, Units};

/// `node_systemd_unit_state{name, state, type}`: 1 for the state that the unit is in, 0 for the others.
pub struct UnitState;

/// `node_systemd_system_running`: 1 while systemd calls the whole system `running`.
pub struct SystemRunning;

impl Collector for UnitState {
    fn template(&self) -> Template {
        let columns = ActiveState::NODE_EXPORTER.map(|state| {
            metric("node_systemd_unit_state", &[("state", state.word())], MetricKind::Gauge, "Systemd unit")
        });
        template("systemd", &["name", "type"], columns.to_vec())
    }

    fn read(&mut self, given: &Given<'_>, table: &mut Table<'_>) -> Result<(), CollectError> {
        let units = known(given)?;
        for (name, unit) in &units.services {
            let Some(mut cells) = table.row(&[name, &unit.service_type]) else { continue };
            for (column, state) in ActiveState::NODE_EXPORTER.into_iter().enumerate() {
                cells.set(column, f64::from(u8::from(unit.active == state)));
            }
        }
        Ok(())
    }
}

impl Collector for SystemRunning {
    fn template(&self) -> Template {
        let help = "Whether the system is operational (see 'systemctl is-system-running')";
        template("systemd_system", &[], vec![metric("node_systemd_system_running", &[], MetricKind::Gauge, help)])
    }

    fn read(&mut self, given: &Given<'_>, table: &mut Table<'_>) -> Result<(), CollectError> {
        let running = known(given)?.services_all_run();
        if let Some(mut cells) = table.row(&[]) {
            cells.set(0, f64::from(u8::from(running)));
        }
        Ok(())
    }
}

fn known<'a>(given: &Given<'a>) -> Result<std::sync::MutexGuard<'a, Units>, CollectError> {
    let units = given.units.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    match units.unavailable() {
        Some(why) => Err(CollectError::Unavailable(why.to_owned())),
        None => Ok(units),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::testing::Stage;
    use crate::observe::{Listed, Service};

    fn units(active: &str) -> Units {
        let state = Service {
            active: ActiveState::parse(active),
            sub: String::new(),
            description: String::new(),
            service_type: "forking".to_owned(),
        };
        let mut units = Units::default();
        units.listed(vec![Listed { name: "nginx.service".to_owned(), state, result: String::new() }]);
        units.set_started_up(true);
        units
    }

    #[test]
    fn exactly_one_state_is_1() {
        for state in ActiveState::NODE_EXPORTER {
            let reading = Stage::with_units(UnitState, units(state.word())).read();
            for other in ActiveState::NODE_EXPORTER {
                let labels = [("name", "nginx.service"), ("state", other.word()), ("type", "forking")];
                let expected = if state == other { 1.0 } else { 0.0 };
                assert_eq!(reading.value("node_systemd_unit_state", &labels), Some(expected), "{state:?} {other:?}");
            }
        }
    }

    #[test]
    fn the_system_does_not_run_while_a_unit_is_failed() {
        for (active, expected) in [("active", 1.0), ("inactive", 1.0), ("failed", 0.0)] {
            let reading = Stage::with_units(SystemRunning, units(active)).read();
            assert_eq!(reading.value("node_systemd_system_running", &[]), Some(expected), "{active}");
        }
    }

    #[test]
    fn without_systemd_there_is_a_reason_and_no_zero() {
        let mut units = units("active");
        units.lost("this host does not run systemd");
        assert_eq!(Stage::with_units(UnitState, units).fault(), "this host does not run systemd");
    }
}
