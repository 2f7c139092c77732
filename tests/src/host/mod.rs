//! A real host: Debian booted by systemd, in namespaces of its own.
//!
//! One root folder (made by `tests/bin/host-root`) serves all hosts, each through an overlay of its own. `systemd-nspawn`
//! boots it inside new mount, network and pid namespaces, so that everything of a host ends with one process. A veth pair
//! joins the host with this machine and nothing else: there is no default route and no address translation.

mod agent;
mod cable;
mod cgroup;
mod disk;
mod link;
mod memory;

use std::ffi::OsStr;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use tempfile::TempDir;

use crate::built::repository;
use crate::wait;
pub use agent::MENDING;
pub use cable::Cable;
use cgroup::Cgroup;
pub use disk::SmallDisk;
use link::Link;
pub use memory::MemoryLimit;

const BOOT_BOUND: Duration = Duration::from_secs(60);
/// Seconds that one command on a host may take.
const COMMAND_BOUND_SECS: &str = "60";

/// A booted host. Dropping it takes down its processes, mounts, link and files.
pub struct Host {
    name: String,
    folder: TempDir,
    root: PathBuf,
    /// What runs while the host has power.
    power: Option<Power>,
}

struct Power {
    /// `unshare`, whose end ends the namespaces and all that runs in them.
    supervisor: Child,
    /// The host's PID 1, as this machine numbers it.
    leader: u32,
    link: Link,
    cgroup: Cgroup,
}

impl Host {
    /// Boots a host of this name and waits until systemd says that it is up.
    ///
    /// Errors: not root, a missing package (with the words that mend it), or a boot that did not end well, with the
    /// end of its console.
    pub fn boot(name: &str) -> Result<Self> {
        let root = shared_root()?;
        let folder = tempfile::Builder::new().prefix("watchkeep-host-").tempdir().context("make the host's folder")?;
        for part in ["upper/etc", "work", "merged"] {
            fs::create_dir_all(folder.path().join(part)).with_context(|| format!("make {part}"))?;
        }
        let mut host = Self { name: name.to_owned(), folder, root, power: None };
        host.write("/etc/hostname", &format!("{name}\n"))?;
        host.write("/etc/machine-id", &format!("{}\n", machine_id(name)))?;
        host.power_on()?;
        Ok(host)
    }

    /// Boots again what `stop` or `power_cut` left.
    pub fn power_on(&mut self) -> Result<()> {
        ensure!(self.power.is_none(), "host \"{}\" is up already", self.name);
        let cgroup = Cgroup::new(&unique_name())?;
        let mut supervisor = self.supervise(&cgroup)?;
        let started = Link::into_namespace_of(supervisor.id()).and_then(|link| {
            let gate = supervisor.stdin.take().context("the supervisor has no standard input")?;
            std::io::Write::write_all(&mut { gate }, b"go\n").context("let the host boot")?;
            let leader = self.await_leader(&mut supervisor)?;
            Ok((link, leader))
        });
        let (link, leader) = match started {
            Ok(started) => started,
            Err(error) => {
                let _ = supervisor.kill();
                let _ = supervisor.wait();
                return Err(error.context(format!(
                    "boot host \"{}\"; its console ends: {}",
                    self.name,
                    self.console()
                )));
            }
        };
        self.power = Some(Power { supervisor, leader, link, cgroup });
        self.await_boot()
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The host's own address.
    pub fn address(&self) -> Ipv4Addr {
        self.power().link.inside
    }

    /// This machine's address on the host's link; a controller that listens there can be reached from every host.
    pub fn gateway(&self) -> Ipv4Addr {
        self.power().link.outside
    }

    /// The link, to be cut and mended.
    pub fn link(&self) -> &Link {
        &self.power().link
    }

    /// Runs a program on the host and returns what became of it.
    pub fn exec<S: AsRef<OsStr>>(&self, argv: impl IntoIterator<Item = S>) -> Result<Output> {
        let mut command = self.command(argv);
        command.output().with_context(|| format!("run {command:?} on host \"{}\"", self.name))
    }

    /// Runs a program that must succeed, and returns its standard output without the last line's end.
    pub fn run<S: AsRef<OsStr>>(&self, argv: impl IntoIterator<Item = S>) -> Result<String> {
        let mut command = self.command(argv);
        let output = command.output().with_context(|| format!("run {command:?}"))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        ensure!(
            output.status.success(),
            "on host \"{}\": {command:?}: {}\n{}\n{}",
            self.name,
            output.status,
            text(&output.stdout),
            text(&output.stderr)
        );
        Ok(text(&output.stdout))
    }

    /// The same as a `Command`, for programs that go on running.
    pub fn command<S: AsRef<OsStr>>(&self, argv: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new("timeout");
        command
            .args(["--kill-after=5", COMMAND_BOUND_SECS, "nsenter", "--target", &self.power().leader.to_string()])
            .args(["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--"])
            .args(argv)
            .env_clear()
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", "/root")
            .env("LANG", "C.UTF-8")
            .stdin(Stdio::null());
        command
    }

    /// Copies a file of this machine onto the host, with its permissions.
    pub fn copy_in(&self, from: &Path, to: &str) -> Result<()> {
        let to = self.path(to);
        make_parent(&to)?;
        fs::copy(from, &to).with_context(|| format!("copy {} to {}", from.display(), to.display()))?;
        Ok(())
    }

    /// Writes a file on the host; works while the host is off, too.
    pub fn write(&self, path: &str, content: &str) -> Result<()> {
        let to = self.path(path);
        make_parent(&to)?;
        fs::write(&to, content).with_context(|| format!("write {}", to.display()))
    }

    /// Installs a package file as an administrator would; configuration that was there before stays.
    pub fn install_deb(&self, package: &Path) -> Result<()> {
        let name = package.file_name().context("a package is a file")?.to_string_lossy();
        let there = format!("/root/{name}");
        self.copy_in(package, &there)?;
        self.run(["dpkg", "--force-confold", "--install", &there]).with_context(|| format!("install {name}"))?;
        Ok(())
    }

    /// All processes are gone at once, nothing is told to anybody. What they had written is kept by this machine's
    /// kernel, so unlike a real power cut it loses no unsynced pages.
    pub fn power_cut(&mut self) -> Result<()> {
        let mut power = self.power.take().with_context(|| format!("host \"{}\" has no power", self.name))?;
        power.supervisor.kill().context("kill the host's supervisor")?;
        power.supervisor.wait().context("wait for the host's supervisor")?;
        await_end(power.leader)?;
        drop(power.cgroup);
        Ok(())
    }

    /// Shuts the host down in order.
    pub fn stop(&mut self) -> Result<()> {
        let _ = self.exec(["systemctl", "poweroff"])?;
        let mut power = self.power.take().with_context(|| format!("host \"{}\" has no power", self.name))?;
        let ended = wait::until(Duration::from_secs(30), "the host to power off", || {
            power.supervisor.try_wait()?.context("it is still shutting down")
        });
        if let Err(error) = ended {
            self.power = Some(power);
            return Err(error);
        }
        await_end(power.leader)
    }

    fn power(&self) -> &Power {
        self.power.as_ref().expect("the test powers a host on before it uses it")
    }

    /// Where a path of the host lies on this machine.
    fn path(&self, of_host: &str) -> PathBuf {
        match &self.power {
            Some(power) => PathBuf::from(format!("/proc/{}/root{of_host}", power.leader)),
            None => self.folder.path().join("upper").join(of_host.trim_start_matches('/')),
        }
    }

    fn supervise(&self, cgroup: &Cgroup) -> Result<Child> {
        let console = fs::File::create(self.folder.path().join("console")).context("make the console's file")?;
        let mut command = cgroup.command_inside("unshare");
        command
            .args(["--mount", "--net", "--pid", "--fork", "--kill-child=KILL", "--propagation", "private"])
            .args(["--mount-proc", "sh", "-c", include_str!("boot.sh"), "boot"])
            .args([self.root.as_os_str(), self.folder.path().as_os_str(), OsStr::new(&unique_name())])
            .stdin(Stdio::piped())
            .stdout(console.try_clone().context("share the console")?)
            .stderr(console);
        // It stays in the test's process group: nextest ends a test that hangs by ending its group, hosts included.
        command.spawn().context("start `unshare`; `make test` as root installs what is missing")
    }

    /// The host's PID 1: the grandchild `systemd` of the supervisor.
    fn await_leader(&self, supervisor: &mut Child) -> Result<u32> {
        wait::until(BOOT_BOUND, "systemd to start", || {
            if let Some(status) = supervisor.try_wait()? {
                bail!("the supervisor ended: {status}");
            }
            let nspawn = only_child(supervisor.id())?;
            let leader = only_child(nspawn)?;
            let program = fs::read_to_string(format!("/proc/{leader}/comm"))?;
            ensure!(program.trim() == "systemd", "PID 1 is still \"{}\"", program.trim());
            Ok(leader)
        })
    }

    fn await_boot(&self) -> Result<()> {
        wait::until(BOOT_BOUND, "the boot to end", || {
            let output = self.exec(["systemctl", "is-system-running"])?;
            let state = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            match state.as_str() {
                "running" => Ok(()),
                "degraded" => bail!("degraded: {}", self.run(["systemctl", "--failed", "--no-legend", "--plain"])?),
                other => bail!("{other} {}", String::from_utf8_lossy(&output.stderr)),
            }
        })
        .with_context(|| format!("boot host \"{}\"; its console ends: {}", self.name, self.console()))
    }

    /// The last lines of the console.
    fn console(&self) -> String {
        let text = fs::read_to_string(self.folder.path().join("console")).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if self.power.is_some()
            && let Err(error) = self.power_cut()
        {
            eprintln!("taking down host \"{}\": {error:#}", self.name);
        }
    }
}

/// The folder that all hosts' overlays lie over.
fn shared_root() -> Result<PathBuf> {
    let script = repository().join("tests/bin/host-root");
    let output = Command::new(&script).stderr(Stdio::inherit()).output().context("run tests/bin/host-root")?;
    ensure!(output.status.success(), "tests/bin/host-root made no root for test hosts; its words are above");
    Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
}

fn only_child(of: u32) -> Result<u32> {
    let children = fs::read_to_string(format!("/proc/{of}/task/{of}/children"))?;
    let child = children.split_whitespace().next().ok_or_else(|| anyhow!("process {of} has no child yet"))?;
    child.parse().with_context(|| format!("read the child of process {of}"))
}

fn await_end(leader: u32) -> Result<()> {
    wait::until(Duration::from_secs(10), "the host's processes to end", || {
        ensure!(!Path::new(&format!("/proc/{leader}")).exists(), "process {leader} is there");
        Ok(())
    })
}

fn make_parent(of: &Path) -> Result<()> {
    let parent = of.parent().with_context(|| format!("{} has no parent", of.display()))?;
    fs::create_dir_all(parent).with_context(|| format!("make {}", parent.display()))
}

/// Unique on this machine: this process and a number.
fn unique_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("watchkeep-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// 32 hexadecimal digits that differ from host to host.
fn machine_id(name: &str) -> String {
    let seed = format!("{name} {}", unique_name());
    // FNV-1a, twice with different beginnings: chance is not needed, only difference.
    let half = |start: u64| {
        seed.bytes().fold(start, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
    };
    format!("{:016x}{:016x}", half(0xcbf2_9ce4_8422_2325), half(0x6c62_272e_07bb_0142))
}
