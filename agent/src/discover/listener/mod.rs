//! Listening sockets and the processes behind them, without the rights to look into other users' processes.
//!
//! The kernel is asked over netlink (`sock_diag`) for every listening TCP socket; where that is refused, `/proc/net/tcp`
//! and `tcp6` say the same but for the control group. A socket's process is found by the agent's rights: as root through
//! `/proc/PID/fd`, else through the control group that the kernel names for the socket, which is the unit's, and whose
//! processes anybody may list. Reading `/proc/PID/fd` of others would need CAP_SYS_PTRACE, which is root by another name.

mod netlink;
mod process;
mod procnet;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use watchkeep_protocol::inventory::Item;

use super::owners::Owners;
use super::{item, relation};
use crate::root::Root;
use process::Process;

/// A socket that listens, as the kernel gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Socket {
    local: SocketAddr,
    inode: u64,
    /// The id of its control group; `None` where the kernel does not say.
    cgroup: Option<u64>,
}

/// Endpoints and the processes that listen on them.
pub struct Listeners {
    endpoints: BTreeSet<SocketAddr>,
    processes: BTreeMap<Process, BTreeSet<SocketAddr>>,
}

impl Listeners {
    /// Looks at the host as it is now.
    pub fn find(root: &Root) -> Self {
        let sockets = netlink::sockets().unwrap_or_else(|fault| {
            tracing::debug!(%fault, "the kernel does not list sockets over netlink; reading /proc/net/tcp");
            procnet::sockets(root)
        });
        let mut found = process::of_sockets(root, &sockets);
        let mut listeners = Self { endpoints: BTreeSet::new(), processes: BTreeMap::new() };
        for socket in sockets {
            listeners.endpoints.insert(socket.local);
            if let Some(process) = found.remove(&socket.inode) {
                listeners.processes.entry(process).or_default().insert(socket.local);
            }
        }
        listeners
    }

    /// The programs that listen.
    pub fn programs(&self) -> BTreeSet<String> {
        self.processes.keys().map(|process| process.program.clone()).collect()
    }

    /// Unit → keys of its processes.
    pub fn by_unit(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut units: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for process in self.processes.keys() {
            if let Some(unit) = &process.unit {
                units.entry(unit.clone()).or_default().insert(process.key());
            }
        }
        units
    }

    /// Section `listener`.
    pub fn items(&self, owners: &Owners) -> Vec<Item> {
        let endpoints = self.endpoints.iter().map(|local| {
            let attributes = vec![
                ("protocol", Some("tcp".to_owned())),
                ("address", Some(local.ip().to_string())),
                ("port", Some(local.port().to_string())),
            ];
            item("listening_endpoint", endpoint_key(local), attributes)
        });
        let processes = self.processes.iter().map(|(process, listens_on)| {
            let package = owners.of_program(&process.program);
            let attributes = vec![
                ("executable", Some(process.program.clone())),
                ("unit", process.unit.clone()),
                ("package", package.map(str::to_owned)),
            ];
            let mut found = item("process", process.key(), attributes);
            let endpoint = |local| relation("listens_on", "listening_endpoint", &endpoint_key(local));
            found.relations.extend(listens_on.iter().map(endpoint));
            found.relations.extend(package.map(|package| relation("uses", "software_package", package)));
            found
        });
        endpoints.chain(processes).collect()
    }
}

/// `tcp/0.0.0.0:80`, `tcp/[::]:80`.
fn endpoint_key(local: &SocketAddr) -> String {
    format!("tcp/{local}")
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_socket_of_this_very_process_is_found_with_its_program() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let local = listener.local_addr().expect("is bound");
        let found = Listeners::find(&Root::default());
        let items = found.items(&Owners::default());
        let endpoint = items.iter().find(|item| item.key == format!("tcp/{local}")).expect("the endpoint is found");
        assert_eq!(endpoint.attributes["port"], local.port().to_string());
        let program = std::env::current_exe().expect("has a path").to_string_lossy().into_owned();
        let process = items.iter().find(|item| item.class == "process" && item.attributes["executable"] == program);
        let relations = &process.expect("this process is found").relations;
        assert!(relations.contains(&relation("listens_on", "listening_endpoint", &endpoint.key)), "{relations:?}");
    }

    #[test]
    fn netlink_and_proc_name_the_same_sockets() {
        let listeners = [TcpListener::bind("127.0.0.1:0"), TcpListener::bind("[::1]:0")];
        for listener in listeners.iter().flatten() {
            let local = listener.local_addr().expect("is bound");
            let by_netlink =
                netlink::sockets().expect("the kernel answers").into_iter().find(|socket| socket.local == local);
            let by_proc = procnet::sockets(&Root::default()).into_iter().find(|socket| socket.local == local);
            let (by_netlink, by_proc) = (by_netlink.expect("netlink has it"), by_proc.expect("/proc has it"));
            assert_eq!(by_netlink.inode, by_proc.inode);
        }
    }
}
