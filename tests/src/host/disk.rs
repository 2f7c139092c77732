//! A small filesystem of a host: an image file on a loop device of this machine.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::Host;

/// A mounted filesystem of some megabytes. Dropping it gives the loop device back; the mount goes with the host.
pub struct SmallDisk {
    /// `/dev/loop3`, on this machine and on the host.
    pub device: String,
    pub mountpoint: String,
}

impl Host {
    /// Makes an ext4 filesystem of `megabytes` and mounts it at `mountpoint`, which is made.
    pub fn mount_small(&self, mountpoint: &str, megabytes: u64) -> Result<SmallDisk> {
        let image = self.folder.path().join(format!("disk{}", mountpoint.replace('/', "-")));
        fs::File::create(&image).and_then(|file| file.set_len(megabytes << 20)).context("make the image of a disk")?;
        let image = image.display().to_string();
        said(Command::new("mkfs.ext4").args(["-q", "-m", "0", &image]))?;
        let device = said(Command::new("losetup").args(["--find", "--show", &image]))?;
        let disk = SmallDisk { device, mountpoint: mountpoint.to_owned() };
        let node = fs::metadata(&disk.device).with_context(|| format!("look at {}", disk.device))?.rdev();
        let (major, minor) = ((node >> 8 & 0xfff).to_string(), (node & 0xff | node >> 12 & 0xfff00).to_string());
        // Only this machine may make devices; the host sees them all the same.
        let there = self.path(&disk.device).display().to_string();
        said(Command::new("mknod").args(["-m", "660", &there, "b", &major, &minor]))?;
        self.run(["mkdir", "-p", mountpoint])?;
        self.run(["mount", &disk.device, mountpoint])?;
        Ok(disk)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Still mounted, the device goes with the last mount of it.
        if let Err(error) = said(Command::new("losetup").args(["--detach", &self.device])) {
            eprintln!("giving {} back: {error:#}", self.device);
        }
    }
}

/// Runs a program of this machine that must succeed; its standard output without the last line's end.
fn said(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("run {command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}
