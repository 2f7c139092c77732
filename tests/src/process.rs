//! A program under test: started in a folder of its own, its words kept, ended when dropped.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::wait;

/// A running program.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command`, whose output goes to the end of `log`.
    pub fn start(name: &str, command: &mut Command, log: PathBuf) -> Result<Self> {
        let file =
            File::options().create(true).append(true).open(&log).with_context(|| format!("open {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(file.try_clone().context("share the log")?).stderr(file);
        let child = command.spawn().with_context(|| format!("start {name}: {command:?}"))?;
        Ok(Self { name: name.to_owned(), child, log })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Fails with the end of the log where the program has ended.
    pub fn ensure_runs(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait().context("ask whether it runs")? {
            bail!("{} ended: {status}; its log ends:\n{}", self.name, self.log_end());
        }
        Ok(())
    }

    /// How it ended; none: it runs.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().context("ask whether it runs")
    }

    /// SIGKILL: it gets no chance to do anything.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill().with_context(|| format!("kill {}", self.name))?;
        self.child.wait().with_context(|| format!("wait for {}", self.name))?;
        Ok(())
    }

    /// SIGINT, as Ctrl-C sends it, and waits for the end.
    pub fn interrupt(&mut self, bound: Duration) -> Result<ExitStatus> {
        self.signal("INT")?;
        let what = format!("{} to end after SIGINT", self.name);
        wait::until(bound, &what, || self.child.try_wait()?.context("it runs"))
            .with_context(|| format!("its log ends:\n{}", self.log_end()))
    }

    /// Sends the signal of this name to this process alone.
    pub fn signal(&self, signal: &str) -> Result<()> {
        let (signal, process) = (format!("-{signal}"), self.id().to_string());
        let status = Command::new("kill").args([&signal, &process]).status().context("run `kill`")?;
        if !status.success() {
            bail!("kill {signal} {process} ({}): {status}", self.name);
        }
        Ok(())
    }

    /// Bytes of memory that are resident now (`VmRSS`, given by the kernel in KiB).
    pub fn resident_bytes(&self) -> Result<u64> {
        let path = format!("/proc/{}/status", self.id());
        let status = std::fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("find VmRSS")?;
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().context("read VmRSS")?;
        Ok(kib * 1024)
    }

    /// Seconds of CPU that it has used, in its own code and in the kernel for it (`utime` and `stime` of `proc_pid_stat(5)`).
    pub fn cpu_seconds(&self) -> Result<f64> {
        let path = format!("/proc/{}/stat", self.id());
        let stat = std::fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
        // The name, in parentheses, may have spaces.
        let (_, fields) = stat.rsplit_once(')').context("find the end of the name")?;
        let ticks = |number: usize| -> Result<f64> {
            let field = fields.split_whitespace().nth(number - 3).with_context(|| format!("find field {number}"))?;
            field.parse().with_context(|| format!("read field {number}"))
        };
        // USER_HZ is 100 on every architecture that Debian has.
        Ok((ticks(14)? + ticks(15)?) / 100.0)
    }

    /// All that it wrote.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    fn log_end(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Gone already or now; either is what is wanted here.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
        if std::thread::panicking() {
            eprintln!("---- the log of {} ends ----\n{}", self.name, self.log_end());
        }
    }
}
