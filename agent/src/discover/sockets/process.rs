//! Whose a socket is: program and unit, never a PID.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::Socket;
use crate::root::Root;

/// Folders of control groups looked into; a host with more has its sockets named by `/proc/PID/fd` only.
const CGROUPS_MAX: usize = 20_000;
const CGROUP_ROOTS: [&str; 2] = ["sys/fs/cgroup", "sys/fs/cgroup/unified"];

/// A process that listens or has connected.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    /// The path of its executable; where the agent may not know it, its name.
    pub program: String,
    /// The service or scope that it runs in.
    pub unit: Option<String>,
}

impl Process {
    /// `/usr/sbin/nginx@nginx.service`; without a unit the program alone.
    pub fn key(&self) -> String {
        match &self.unit {
            Some(unit) => format!("{}@{unit}", self.program),
            None => self.program.clone(),
        }
    }
}

/// The process behind each socket that one is found for, by the socket's inode.
pub fn of_sockets(root: &Root, sockets: &[Socket]) -> BTreeMap<u64, Process> {
    let wanted = sockets.iter().map(|socket| socket.inode).collect();
    let mut found: BTreeMap<u64, Process> = BTreeMap::new();
    for (inode, pid) in holders(root, &wanted) {
        let unit = unit_of(&root.text(&format!("proc/{pid}/cgroup")));
        found.insert(inode, Process { program: program(root, pid), unit });
    }
    let left: Vec<&Socket> = sockets.iter().filter(|socket| !found.contains_key(&socket.inode)).collect();
    let ids = left.iter().filter_map(|socket| socket.cgroup).collect();
    let folders = cgroup_folders(root, ids);
    for socket in left {
        let Some(folder) = socket.cgroup.and_then(|id| folders.get(&id)) else { continue };
        let pids = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
        let Some(pid) = pids.lines().filter_map(|line| line.parse().ok()).min() else { continue };
        let unit = unit_of(&root.text(&format!("proc/{pid}/cgroup")));
        found.insert(socket.inode, Process { program: program(root, pid), unit });
    }
    found
}

/// Inode → the lowest PID that holds it, as far as the agent may look.
fn holders(root: &Root, wanted: &BTreeSet<u64>) -> BTreeMap<u64, u32> {
    let mut held = BTreeMap::new();
    let mut pids: Vec<u32> = entries(&root.join("proc")).filter_map(|path| name(&path)?.parse().ok()).collect();
    pids.sort_unstable();
    for pid in pids {
        for descriptor in entries(&root.join(format!("proc/{pid}/fd"))) {
            let Ok(target) = fs::read_link(&descriptor) else { continue };
            let inode = target.to_str().and_then(|text| text.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok());
            if let Some(inode) = inode.filter(|inode| wanted.contains(inode)) {
                held.entry(inode).or_insert(pid);
            }
        }
    }
    held
}

/// The folder of each wanted control group: its id is its folder's inode.
fn cgroup_folders(root: &Root, mut wanted: BTreeSet<u64>) -> BTreeMap<u64, PathBuf> {
    let (mut found, mut looked_at) = (BTreeMap::new(), 0);
    let mut ahead: Vec<PathBuf> = CGROUP_ROOTS.iter().map(|path| root.join(path)).collect();
    while let Some(folder) = ahead.pop() {
        looked_at += 1;
        if wanted.is_empty() || looked_at > CGROUPS_MAX {
            break;
        }
        let Ok(inode) = fs::metadata(&folder).map(|found| found.ino()) else { continue };
        if wanted.remove(&inode) {
            found.insert(inode, folder.clone());
        }
        let is_folder = |path: &PathBuf| fs::symlink_metadata(path).is_ok_and(|found| found.is_dir());
        ahead.extend(entries(&folder).filter(is_folder));
    }
    found
}

/// The service or scope in a line `0::/system.slice/nginx.service` of `/proc/PID/cgroup`: the innermost of systemd's own
/// names on the path, leaving out what a user's manager or a container put below.
fn unit_of(text: &str) -> Option<String> {
    let path = text.lines().find_map(|line| {
        line.strip_prefix("0::").or_else(|| line.split_once(":name=systemd:").map(|(_, path)| path))
    })?;
    let unit = path.split('/').find(|part| part.ends_with(".service") || part.ends_with(".scope"))?;
    Some(unit.to_owned())
}

/// The path of a process's executable: the kernel's word where the agent may have it, else the first word of its command
/// line (or of the title that it gave itself) that is a program of the host, else its name.
fn program(root: &Root, pid: u32) -> String {
    if let Ok(path) = fs::read_link(root.join(format!("proc/{pid}/exe"))) {
        let text = path.to_string_lossy();
        return text.strip_suffix(" (deleted)").unwrap_or(&text).to_owned();
    }
    let line = root.text(&format!("proc/{pid}/cmdline"));
    let is_program = |path: &str| {
        fs::metadata(root.join(path.trim_start_matches('/')))
            .is_ok_and(|found| found.is_file() && found.mode() & 0o111 != 0)
    };
    let mut words = line.split(['\0', ' ']);
    let named = words.find(|word| word.starts_with('/') && is_program(word));
    named.map(str::to_owned).or_else(|| root.line(&format!("proc/{pid}/comm"))).unwrap_or_else(|| "unknown".to_owned())
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
}

fn name(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::root::testing::TempFiles;

    #[test]
    fn the_unit_is_systemd_s_own_name() {
        let cases = [
            ("0::/system.slice/nginx.service\n", Some("nginx.service")),
            ("0::/system.slice/system-getty.slice/getty@tty1.service\n", Some("getty@tty1.service")),
            ("0::/user.slice/user-0.slice/session-3.scope\n", Some("session-3.scope")),
            ("0::/user.slice/user-0.slice/user@0.service/app.slice/x.service\n", Some("user@0.service")),
            ("12:cpu:/\n1:name=systemd:/system.slice/cron.service\n", Some("cron.service")),
            ("0::/\n", None),
            ("", None),
        ];
        for (text, unit) in cases {
            assert_eq!(unit_of(text).as_deref(), unit, "{text}");
        }
    }

    #[test]
    fn a_program_is_found_without_the_right_to_read_its_link() {
        let files = TempFiles::new();
        files.write("usr/sbin/nginx", "");
        fs::set_permissions(files.root().join("usr/sbin/nginx"), fs::Permissions::from_mode(0o755)).expect("is set");
        files.write("etc/nginx.conf", "");
        files.write("proc/7/cmdline", "nginx: master process /etc/nginx.conf /usr/sbin/nginx -g daemon on;\0");
        assert_eq!(program(&files.root(), 7), "/usr/sbin/nginx");
        files.write("proc/8/cmdline", "sshd: listener\0");
        files.write("proc/8/comm", "sshd\n");
        assert_eq!(program(&files.root(), 8), "sshd");
    }

    #[test]
    fn a_socket_s_control_group_leads_to_its_process() {
        let files = TempFiles::new();
        files.write("sys/fs/cgroup/system.slice/nginx.service/cgroup.procs", "41\n40\n");
        files.write("proc/40/cgroup", "0::/system.slice/nginx.service\n");
        files.write("proc/40/comm", "nginx\n");
        let folder = files.root().join("sys/fs/cgroup/system.slice/nginx.service");
        let cgroup = Some(fs::metadata(folder).expect("is there").ino());
        let local = "0.0.0.0:80".parse().expect("an address");
        let remote = "0.0.0.0:0".parse().expect("an address");
        let found = of_sockets(&files.root(), &[Socket { local, remote, inode: 4711, cgroup }]);
        assert_eq!(found[&4711].key(), "nginx@nginx.service");
    }
}
