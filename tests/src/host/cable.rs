//! A cable between two hosts, beside the links that each has to this machine.

use std::net::Ipv4Addr;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::Host;

/// A veth pair with a /30 of its own. It goes with either host's namespace: after a power cut it is to be laid anew.
pub struct Cable {
    /// The first host's address on it.
    pub first: Ipv4Addr,
    /// The second host's.
    pub second: Ipv4Addr,
}

impl Cable {
    /// Joins two hosts under these addresses of the first 192.0.2.0/24 (set aside for documentation by RFC 5737): number `n`
    /// has 192.0.2.(4n+1) and 192.0.2.(4n+2).
    pub fn lay(first: &Host, second: &Host, number: u8) -> Result<Self> {
        ensure!(number < 63, "cable {number} of 63");
        let address = |end: u8| Ipv4Addr::new(192, 0, 2, 4 * number + end);
        let cable = Self { first: address(1), second: address(2) };
        let name = format!("cable{number}");
        let (one, other) = (first.power().leader.to_string(), second.power().leader.to_string());
        // What is left of a cable whose other host has lost its power.
        let _none_is_left = inside(&other, &["ip", "link", "delete", &name]);
        // Made inside the first host, so that names of other tests' cables cannot clash with it.
        inside(&one, &["ip", "link", "add", &name, "type", "veth", "peer", "name", &name, "netns", &other])?;
        for (leader, address) in [(&one, cable.first), (&other, cable.second)] {
            inside(leader, &["ip", "address", "add", &format!("{address}/30"), "dev", &name])?;
            inside(leader, &["ip", "link", "set", &name, "up"])?;
        }
        Ok(cable)
    }
}

/// Runs a program of this machine in the network of a host.
fn inside(leader: &str, argv: &[&str]) -> Result<()> {
    let mut command = Command::new("nsenter");
    command.args(["--target", leader, "--net", "--"]).args(argv);
    let output = command.output().with_context(|| format!("run {command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}
