//! Whom somebody means who knows nothing of agents: a host by its name or address, a service by its name.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::ci::Ci;
use super::classes::Class;
use super::graph::Graph;
use crate::ids::CiId;

/// What of a host may be its name; `instance` is its agent's.
const NAMES: [&str; 4] = ["instance", "hostname", "fqdn", "name"];

impl Graph {
    /// The current hosts that are called so, by id: by agent, host name or full name, or by an address of an interface. A
    /// port behind it is left out: `web-1:9100`, `[2001:db8::7]:9100`.
    pub fn hosts_called(&self, text: &str) -> Vec<&Ci> {
        let name = without_port(text);
        if name.is_empty() {
            return Vec::new();
        }
        if let Ok(address) = name.parse::<IpAddr>() {
            let found = self.hosts_at(address.to_canonical()).filter(|host| host.is_current());
            return found.collect();
        }
        let named = |attribute: &&str| {
            self.find(Class::Host, &BTreeMap::from([((**attribute).to_owned(), name.to_owned())]), None)
        };
        let found: BTreeMap<CiId, &Ci> = NAMES.iter().flat_map(named).map(|ci| (ci.id, ci)).collect();
        found.into_values().collect()
    }

    /// The current services of that name.
    pub fn services_called(&self, name: &str) -> Vec<&Ci> {
        self.find(Class::BusinessService, &BTreeMap::from([("name".to_owned(), name.to_owned())]), None)
    }
}

/// The name or address in front of a port, if there is one.
fn without_port(text: &str) -> &str {
    let text = text.trim();
    if let Some((address, _)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return address;
    }
    match text.split_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_no_part_of_a_name() {
        for (text, name) in [
            ("web-1:9100", "web-1"),
            ("web-1", "web-1"),
            ("[2001:db8::7]:9100", "2001:db8::7"),
            ("2001:db8::7", "2001:db8::7"),
            ("10.0.0.7:9100", "10.0.0.7"),
            ("https://shop.example", "https://shop.example"),
        ] {
            assert_eq!(without_port(text), name, "{text}");
        }
    }
}
