//! Service units, as [`crate::observe`] hears of them, with their package and their processes.

use std::collections::{BTreeMap, BTreeSet};

use watchkeep_protocol::inventory::Item;

use super::owners::Owners;
use super::{item, relation};
use crate::observe::Units;

/// Section `service`; `None` while systemd is not heard, so that nothing is taken for gone.
pub fn items(units: &Units, owners: &Owners, processes: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<Item>> {
    if units.unavailable().is_some() {
        return None;
    }
    let services = units.services.iter().map(|(unit, service)| {
        let package = owners.of_unit(unit);
        let attributes = vec![
            ("active_state", Some(service.active.word().to_owned())),
            ("sub_state", Some(service.sub.clone())),
            ("description", Some(service.description.clone())),
            ("type", Some(service.service_type.clone())),
            ("package", package.map(str::to_owned)),
        ];
        let mut found = item("service_unit", unit, attributes);
        found.relations.extend(package.map(|package| relation("uses", "software_package", package)));
        let own = processes.get(unit).into_iter().flatten();
        found.relations.extend(own.map(|process| relation("contains", "process", process)));
        found
    });
    Some(services.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::{ActiveState, Listed, Service};

    #[test]
    fn a_service_contains_its_processes() {
        let mut units = Units::default();
        assert_eq!(items(&units, &Owners::default(), &BTreeMap::new()), None, "nothing is known yet");
        let state = Service {
            active: ActiveState::Active,
            sub: "running".to_owned(),
            description: "A web server".to_owned(),
            service_type: "forking".to_owned(),
        };
        units.listed(vec![Listed { name: "nginx.service".to_owned(), state, result: String::new() }]);
        let process = "/usr/sbin/nginx@nginx.service".to_owned();
        let processes = BTreeMap::from([("nginx.service".to_owned(), BTreeSet::from([process.clone()]))]);
        let found = items(&units, &Owners::default(), &processes).expect("systemd is heard").remove(0);
        assert_eq!((found.key.as_str(), found.attributes["sub_state"].as_str()), ("nginx.service", "running"));
        assert_eq!(found.relations, [relation("contains", "process", &process)]);
    }
}
