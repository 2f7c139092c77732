//! TCP sockets of the host and the processes behind them, without the rights to look into other users' processes: what
//! listens, and what has connected to other hosts.
//!
//! The kernel is asked over netlink (`sock_diag`); where that is refused, `/proc/net/tcp` and `tcp6` say the same but for
//! the control group. A socket's process is found by the agent's rights: as root through `/proc/PID/fd`, else through the
//! control group that the kernel names for the socket, which is the unit's, and whose processes anybody may list. Reading
//! `/proc/PID/fd` of others would need CAP_SYS_PTRACE, which is root by another name.
//!
//! A connection was opened by the host's own process where nothing of the host listens on its local port. Connections that
//! do not leave the host are left out, and so are those that come and go between two looks.

mod connection;
mod process;
mod procnet;
mod sock_diag;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use watchkeep_protocol::inventory::Item;

use super::owners::Owners;
use super::{item, relation};
use crate::root::Root;
use process::Process;

pub use connection::Recent;

/// Sockets of connections looked at; the rest of a host that has more is mostly the same again.
const CONNECTED_MAX: usize = 4_096;

/// A socket as the kernel gives it; of one that listens, `remote` is unspecified.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Socket {
    local: SocketAddr,
    remote: SocketAddr,
    inode: u64,
    /// The id of its control group; `None` where the kernel does not say.
    cgroup: Option<u64>,
}

/// The kernel's numbers for the states that matter here.
#[derive(Clone, Copy, Debug)]
enum State {
    Established = 1,
    Listening = 10,
}

/// Endpoints, and the processes that listen on them or have connected to others.
pub struct Sockets {
    endpoints: BTreeSet<SocketAddr>,
    processes: BTreeMap<Process, Open>,
}

/// What one process has open.
#[derive(Default)]
struct Open {
    listens_on: BTreeSet<SocketAddr>,
    connects_to: BTreeSet<SocketAddr>,
}

impl Sockets {
    /// Looks at the host as it is now; `recent` keeps connections over short pauses.
    pub fn find(root: &Root, recent: &mut Recent) -> Self {
        let (listening, connected) = listed(root);
        let all: Vec<Socket> = listening.iter().chain(&connected).cloned().collect();
        let found = process::of_sockets(root, &all);
        let mut sockets = Self { endpoints: BTreeSet::new(), processes: BTreeMap::new() };
        for socket in listening {
            sockets.endpoints.insert(socket.local);
            if let Some(process) = found.get(&socket.inode) {
                sockets.processes.entry(process.clone()).or_default().listens_on.insert(socket.local);
            }
        }
        let opened = connected.iter().filter_map(|socket| Some((found.get(&socket.inode)?.clone(), socket.remote)));
        let opened = opened.filter(|(process, _)| !connection::is_of_a_login(process)).collect();
        for (process, remote) in recent.take(opened, Instant::now()) {
            sockets.processes.entry(process.clone()).or_default().connects_to.insert(*remote);
        }
        sockets
    }

    /// The programs that have sockets.
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

    /// Section `listener`: endpoints, and all processes that have sockets.
    pub fn listeners(&self, owners: &Owners) -> Vec<Item> {
        let endpoints = self.endpoints.iter().map(|local| {
            let attributes = vec![
                ("protocol", Some("tcp".to_owned())),
                ("address", Some(local.ip().to_string())),
                ("port", Some(local.port().to_string())),
            ];
            item("listening_endpoint", endpoint_key(local), attributes)
        });
        let processes = self.processes.iter().map(|(process, open)| {
            let package = owners.of_program(&process.program);
            let attributes = vec![
                ("executable", Some(process.program.clone())),
                ("unit", process.unit.clone()),
                ("package", package.map(str::to_owned)),
            ];
            let mut found = item("process", process.key(), attributes);
            let endpoint = |local| relation("listens_on", "listening_endpoint", &endpoint_key(local));
            found.relations.extend(open.listens_on.iter().map(endpoint));
            found.relations.extend(package.map(|package| relation("uses", "software_package", package)));
            found
        });
        endpoints.chain(processes).collect()
    }

    /// Section `connection`: which process has connected to what on another host, key `PROCESS>tcp/REMOTE`.
    pub fn connections(&self) -> Vec<Item> {
        let of_process = |(process, open): (&Process, &Open)| {
            let key = process.key();
            let connection = |remote: &SocketAddr| {
                let attributes = vec![
                    ("process", Some(key.clone())),
                    ("remote", Some(remote.to_string())),
                    ("protocol", Some("tcp".to_owned())),
                ];
                item("connection", format!("{key}>{}", endpoint_key(remote)), attributes)
            };
            open.connects_to.iter().map(connection).collect::<Vec<_>>()
        };
        self.processes.iter().flat_map(of_process).collect()
    }
}

/// What listens, and what this host has connected to others.
fn listed(root: &Root) -> (Vec<Socket>, Vec<Socket>) {
    let (mut listening, mut connected) = (Vec::new(), Vec::new());
    each_socket(root, State::Listening, |socket| listening.push(socket));
    let served: BTreeSet<u16> = listening.iter().map(|socket| socket.local.port()).collect();
    each_socket(root, State::Established, |socket| {
        let socket = Socket { local: plain(socket.local), remote: plain(socket.remote), ..socket };
        if !served.contains(&socket.local.port()) && leaves_the_host(&socket) && connected.len() < CONNECTED_MAX {
            connected.push(socket);
        }
    });
    (listening, connected)
}

fn each_socket(root: &Root, state: State, mut take: impl FnMut(Socket)) {
    let asked: io::Result<()> = sock_diag::each_socket(state, &mut take);
    if let Err(fault) = asked {
        tracing::debug!(%fault, "the kernel does not list sockets over netlink; reading /proc/net/tcp");
        procnet::each_socket(root, state, take);
    }
}

/// IPv4 inside IPv6 as IPv4: `[::ffff:10.0.0.5]:5432` is `10.0.0.5:5432` to everybody else.
fn plain(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// A host that speaks with its own address speaks with itself.
fn leaves_the_host(socket: &Socket) -> bool {
    !socket.remote.ip().is_loopback() && socket.remote.ip() != socket.local.ip()
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
        let found = Sockets::find(&Root::default(), &mut Recent::default());
        let items = found.listeners(&Owners::default());
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
            let client = std::net::TcpStream::connect(local).expect("is listening");
            let ours = client.local_addr().expect("is connected");
            for (state, wanted) in [(State::Listening, local), (State::Established, ours)] {
                let (mut by_netlink, mut by_proc) = (Vec::new(), Vec::new());
                let mine = |socket: &Socket| socket.local == wanted;
                sock_diag::each_socket(state, |socket| by_netlink.extend(Some(socket).filter(mine))).expect("answers");
                procnet::each_socket(&Root::default(), state, |socket| by_proc.extend(Some(socket).filter(mine)));
                let [Some(by_netlink), Some(by_proc)] = [by_netlink.pop(), by_proc.pop()] else {
                    panic!("{wanted} is found by both, as {state:?}");
                };
                assert_eq!((by_netlink.inode, by_netlink.remote), (by_proc.inode, by_proc.remote));
            }
        }
    }

    #[test]
    fn only_what_leaves_the_host_is_a_connection() {
        let socket = |local: &str, remote: &str| {
            let plain = |text: &str| plain(text.parse().expect("an address"));
            Socket { local: plain(local), remote: plain(remote), inode: 1, cgroup: None }
        };
        let cases = [
            ("10.0.0.7:4000", "10.0.0.5:5432", true),
            ("127.0.0.1:4000", "127.0.0.1:5432", false),
            ("[::1]:4000", "[::1]:5432", false),
            ("[::ffff:127.0.0.1]:4000", "[::ffff:127.0.0.1]:5432", false),
            ("10.0.0.7:4000", "10.0.0.7:5432", false),
            ("[::ffff:10.0.0.7]:4000", "[::ffff:10.0.0.5]:5432", true),
        ];
        for (local, remote, leaves) in cases {
            assert_eq!(leaves_the_host(&socket(local, remote)), leaves, "{local} {remote}");
        }
    }

    #[test]
    fn a_connection_is_keyed_by_process_and_remote_end() {
        let process = Process { program: "/usr/sbin/nginx".to_owned(), unit: Some("nginx.service".to_owned()) };
        let connects_to = ["10.0.0.5:5432", "[2001:db8::5]:5432"].map(|text| text.parse().expect("an address")).into();
        let open = Open { connects_to, ..Open::default() };
        let sockets = Sockets { endpoints: BTreeSet::new(), processes: BTreeMap::from([(process, open)]) };
        let items = sockets.connections();
        assert_eq!(
            items.iter().map(|item| item.key.as_str()).collect::<Vec<_>>(),
            ["/usr/sbin/nginx@nginx.service>tcp/10.0.0.5:5432", "/usr/sbin/nginx@nginx.service>tcp/[2001:db8::5]:5432"]
        );
        let attributes = &items[0].attributes;
        assert_eq!(attributes["process"], sockets.listeners(&Owners::default())[0].key, "the process is an item");
        assert_eq!((attributes["remote"].as_str(), attributes["protocol"].as_str()), ("10.0.0.5:5432", "tcp"));
    }
}
