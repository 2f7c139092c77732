//! Which connections of the host to others are told: those that its own processes opened, for as long as they are used.
//!
//! A pool closes and opens its connections as it likes, and a job connects once a minute; the edge between the two
//! services is the same. So a connection stays for [`KEPT`] after it was last seen, and one that is known goes before a
//! new one where there are more than [`CONNECTIONS_MAX`].

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::process::Process;

/// Connections of one host, aggregated by process and remote end.
pub const CONNECTIONS_MAX: usize = 256;
/// After its last sight a connection counts as there for so long.
const KEPT: Duration = Duration::from_secs(600);

/// Connections with when each was last seen.
#[derive(Default)]
pub struct Recent {
    seen: BTreeMap<(Process, SocketAddr), Instant>,
    told_of_bound: bool,
}

impl Recent {
    /// Takes what is connected now, and says what counts as connected.
    pub fn take(
        &mut self,
        found: BTreeSet<(Process, SocketAddr)>,
        now: Instant,
    ) -> impl Iterator<Item = &(Process, SocketAddr)> {
        for (connection, seen) in &mut self.seen {
            if found.contains(connection) {
                *seen = now;
            }
        }
        self.seen.retain(|_, seen| now.saturating_duration_since(*seen) < KEPT);
        for connection in found {
            if self.seen.len() < CONNECTIONS_MAX {
                self.seen.insert(connection, now);
            } else if !self.seen.contains_key(&connection) && !self.told_of_bound {
                tracing::warn!("more than {CONNECTIONS_MAX} connections to other hosts; the rest is left out");
                self.told_of_bound = true;
            }
        }
        self.seen.keys()
    }
}

/// Whether a connection is one person's, who is logged in: it tells nothing of the service.
pub fn is_of_a_login(process: &Process) -> bool {
    process.unit.as_deref().is_some_and(|unit| unit.starts_with("session-") && unit.ends_with(".scope"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(program: &str, unit: &str) -> Process {
        Process { program: program.to_owned(), unit: Some(unit.to_owned()) }
    }

    fn connection(program: &str, port: u16) -> (Process, SocketAddr) {
        (process(program, "app.service"), SocketAddr::from(([10, 0, 0, 5], port)))
    }

    #[test]
    fn a_connection_outlives_a_pause_and_no_more() {
        let (mut recent, begin) = (Recent::default(), Instant::now());
        for (secs, is_connected, counts) in
            [(0, true, true), (60, false, true), (300, true, true), (899, false, true), (900, false, false)]
        {
            let found = is_connected.then(|| connection("/usr/bin/app", 5432)).into_iter().collect();
            let told = recent.take(found, begin + Duration::from_secs(secs)).count();
            assert_eq!(told == 1, counts, "after {secs} s");
        }
    }

    #[test]
    fn where_there_are_too_many_the_known_ones_stay() {
        let (mut recent, now) = (Recent::default(), Instant::now());
        let ports = |range: std::ops::Range<u16>| range.map(|port| connection("/usr/bin/app", port)).collect();
        assert_eq!(recent.take(ports(1000..1256), now).count(), CONNECTIONS_MAX);
        let after: Vec<u16> = recent.take(ports(0..2000), now).map(|(_, remote)| remote.port()).collect();
        assert_eq!(after, (1000..1256).collect::<Vec<u16>>());
    }

    #[test]
    fn a_login_is_no_service() {
        assert!(is_of_a_login(&process("/usr/bin/ssh", "session-3.scope")));
        assert!(!is_of_a_login(&process("/usr/bin/app", "app.service")));
        assert!(!is_of_a_login(&Process { program: "/usr/bin/app".to_owned(), unit: None }));
    }
}
