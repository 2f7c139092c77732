//! The one link of a host: a veth pair to this machine.

use std::fs;
use std::net::Ipv4Addr;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::wait;

/// 198.18.0.0/15 is set aside for tests between two machines (RFC 2544) and is nobody's address.
const NETWORK: u32 = u32::from_be_bytes([198, 18, 0, 0]);
const LINKS: u32 = 1 << 15;

/// A veth pair with a /30 of its own. It goes when the namespace of its inner end goes.
pub struct Link {
    namespace_of: u32,
    /// The host's address.
    pub inside: Ipv4Addr,
    /// This machine's address.
    pub outside: Ipv4Addr,
}

impl Link {
    /// Makes a link between this machine and the network namespace of a process that is about to have one.
    pub fn into_namespace_of(process: u32) -> Result<Self> {
        let ours = fs::read_link("/proc/self/ns/net").context("read our own network namespace")?;
        wait::until(Duration::from_secs(10), "the host's network namespace", || {
            let theirs = fs::read_link(format!("/proc/{process}/ns/net"))?;
            ensure!(theirs != ours, "process {process} is still in ours");
            Ok(())
        })?;
        let number = add_pair(process)?;
        let base = NETWORK + 4 * number;
        let link = Self { namespace_of: process, outside: (base + 1).into(), inside: (base + 2).into() };
        let name = outer_name(number);
        run(&["ip", "address", "add", &format!("{}/30", link.outside), "dev", &name])?;
        run(&["ip", "link", "set", &name, "up"])?;
        link.run_inside(&["ip", "address", "add", &format!("{}/30", link.inside), "dev", "host0"])?;
        link.run_inside(&["ip", "link", "set", "host0", "up"])?;
        // To this machine's addresses on other links, so that one controller serves several hosts; no default route.
        let all = format!("{}/15", Ipv4Addr::from(NETWORK));
        link.run_inside(&["ip", "route", "add", &all, "via", &link.outside.to_string()])?;
        Ok(link)
    }

    /// From now on every packet is lost, both ways, and neither end is told.
    pub fn cut(&self) -> Result<()> {
        self.run_inside(&["nft", "add table inet cut"])?;
        for hook in ["input", "output"] {
            let chain = format!("add chain inet cut {hook} {{ type filter hook {hook} priority 0; policy accept; }}");
            self.run_inside(&["nft", &chain])?;
            let way = if hook == "input" { "iifname" } else { "oifname" };
            self.run_inside(&["nft", &format!("add rule inet cut {hook} {way} host0 drop")])?;
        }
        Ok(())
    }

    /// Packets pass again.
    pub fn mend(&self) -> Result<()> {
        self.run_inside(&["nft", "delete table inet cut"])
    }

    fn run_inside(&self, argv: &[&str]) -> Result<()> {
        let process = self.namespace_of.to_string();
        run(&[&["nsenter", "--target", &process, "--net", "--"], argv].concat())
    }
}

/// Adds the first pair whose number is free; that an interface's name is unique makes the kernel the judge.
fn add_pair(process: u32) -> Result<u32> {
    for number in 0..LINKS {
        let (name, process) = (outer_name(number), process.to_string());
        let pair = ["link", "add", &name, "type", "veth", "peer", "name", "host0", "netns", &process];
        let output = Command::new("ip").args(pair).output().context("run `ip`")?;
        if output.status.success() {
            return Ok(number);
        }
        let words = String::from_utf8_lossy(&output.stderr);
        ensure!(words.contains("File exists"), "ip {}: {}", pair.join(" "), words.trim());
    }
    bail!("all {LINKS} links of test hosts are in use; `ip link` shows them as wk0, wk1 …")
}

fn outer_name(number: u32) -> String {
    format!("wk{number}")
}

fn run(argv: &[&str]) -> Result<()> {
    let output = Command::new(argv[0]).args(&argv[1..]).output().with_context(|| format!("run `{}`", argv[0]))?;
    ensure!(output.status.success(), "{}: {}", argv.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}
