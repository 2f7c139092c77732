//! Many agents in one process, against a controller that runs: for load, and for stories with more hosts than can be booted.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use watchkeep_tests::fleet::figures::{Figures, Reading};
use watchkeep_tests::fleet::scenes::{Hosts, Outage, Upgrade};
use watchkeep_tests::fleet::{self, Plan};

/// Between lines of figures.
const SAY_EVERY: Duration = Duration::from_secs(10);
/// Clock ticks a second in /proc/PID/stat (`getconf CLK_TCK`, 100 on every Linux that Rust runs on).
const TICKS: f64 = 100.0;

/// Run many agents in one process against a controller. Hosts that enrolled before, under --folder, are taken up again.
///
/// A token for all of them: watchkeep agent token create --uses 1000 --expires 1h
#[derive(Debug, Parser)]
#[command(name = "watchkeep-fleetsim")]
struct Options {
    /// A file with an enrolment token that has enough uses
    #[arg(long)]
    token_file: PathBuf,
    /// Where identities are kept between runs
    #[arg(long)]
    folder: PathBuf,
    /// How many hosts
    #[arg(long, default_value_t = 10)]
    agents: usize,
    /// Seconds between reports of one host
    #[arg(long, default_value_t = 15.0)]
    interval: f64,
    /// Series of each host, about
    #[arg(long, default_value_t = 300)]
    series: usize,
    /// Instances that come or go, per host and minute
    #[arg(long, default_value_t = 0.1)]
    churn: f64,
    /// Units that fail, per host and hour
    #[arg(long, default_value_t = 0.0)]
    fail: f64,
    /// Seconds; without it until Ctrl-C
    #[arg(long)]
    duration: Option<f64>,
    /// The same seed, the same hosts, values and failures
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What hosts are called: PREFIX-1 …
    #[arg(long, default_value = "sim")]
    prefix: String,
    /// mqtts://HOST:PORT instead of the broker that enrolment named
    #[arg(long)]
    broker: Option<String>,
    /// A process whose memory and CPU time are shown beside the figures: the controller's
    #[arg(long)]
    watch_pid: Option<u32>,
    /// PACKAGE=VERSION: upgrade it on --upgrade-hosts after --upgrade-at seconds
    #[arg(long, value_parser = upgrade)]
    upgrade: Option<(String, String)>,
    /// By number: FIRST-LAST
    #[arg(long, default_value = "1-3")]
    upgrade_hosts: Hosts,
    #[arg(long, default_value_t = 30.0)]
    upgrade_at: f64,
    /// UNIT: fail it on --break-hosts after --break-at seconds, and mend it --break-for seconds later
    #[arg(long = "break")]
    breaks: Option<String>,
    /// By number: FIRST-LAST
    #[arg(long, default_value = "1-3")]
    break_hosts: Hosts,
    #[arg(long, default_value_t = 35.0)]
    break_at: f64,
    #[arg(long, default_value_t = 60.0)]
    break_for: f64,
}

fn upgrade(text: &str) -> Result<(String, String), String> {
    let (package, version) = text.split_once('=').ok_or_else(|| format!("\"{text}\" is not PACKAGE=VERSION"))?;
    Ok((package.to_owned(), version.to_owned()))
}

impl Options {
    fn plan(&self) -> Result<Plan> {
        let seconds = |name: &str, value: f64| {
            Duration::try_from_secs_f64(value).with_context(|| format!("--{name} {value} is no length of time"))
        };
        ensure!(self.interval >= 1.0, "--interval {} is shorter than a second", self.interval);
        let upgrade_at = seconds("upgrade-at", self.upgrade_at)?;
        let of_package = |(package, to)| Upgrade { package, to, hosts: self.upgrade_hosts, at: upgrade_at };
        let (at, length) = (seconds("break-at", self.break_at)?, seconds("break-for", self.break_for)?);
        let of_unit = |unit| Outage { unit, hosts: self.break_hosts, at, length };
        Ok(Plan {
            prefix: self.prefix.clone(),
            agents: self.agents,
            interval: seconds("interval", self.interval)?,
            series: self.series,
            churn: self.churn,
            fail: self.fail,
            seed: self.seed,
            upgrade: self.upgrade.clone().map(of_package),
            outage: self.breaks.clone().map(of_unit),
        })
    }
}

fn main() -> Result<()> {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(run(options))
}

async fn run(options: Options) -> Result<()> {
    let plan = options.plan()?;
    let token = std::fs::read_to_string(&options.token_file)
        .with_context(|| format!("read the token in {}", options.token_file.display()))?;
    let begun = Instant::now();
    let mut identities = fleet::enrol(&plan, &token, &options.folder).await?;
    println!("{} hosts enrolled within {:.1} s", identities.len(), begun.elapsed().as_secs_f64());
    if let Some(broker) = &options.broker {
        identities.iter_mut().for_each(|identity| identity.broker.clone_from(broker));
    }
    let figures = Arc::new(Figures::default());
    let (stop, stopped) = watch::channel(false);
    let fleet = fleet::run(&plan, identities, &options.folder, Arc::clone(&figures), stopped);
    let until = options.duration.map(|seconds| Instant::now() + Duration::from_secs_f64(seconds.max(0.0)));
    let told = async {
        tell(&figures, options.watch_pid, until).await;
        stop.send_replace(true);
    };
    let ((), ended) = tokio::join!(told, fleet);
    ended?;
    println!("in all: {}; own CPU {:.1} s", figures.read(), cpu_seconds(std::process::id()).unwrap_or(0.0));
    Ok(())
}

/// Prints a line every now and then, until the time is over or somebody stops it.
async fn tell(figures: &Figures, watched: Option<u32>, until: Option<Instant>) {
    let far = Instant::now() + Duration::from_secs(365 * 86_400);
    let mut say = interval(SAY_EVERY);
    say.set_missed_tick_behavior(MissedTickBehavior::Delay);
    say.tick().await;
    let begun = Instant::now();
    loop {
        tokio::select! {
            _ = say.tick() => println!("{:>5} s: {}", begun.elapsed().as_secs(), line(figures.read(), watched)),
            () = sleep_until(until.unwrap_or(far)) => return,
            _ = tokio::signal::ctrl_c() => return,
        }
    }
}

fn line(reading: Reading, watched: Option<u32>) -> String {
    let own = cpu_seconds(std::process::id()).unwrap_or(0.0);
    let watched = watched.map(|process| match (cpu_seconds(process), resident_mib(process)) {
        (Some(cpu), Some(memory)) => format!("; watched: CPU {cpu:.1} s, {memory:.1} MiB resident"),
        _ => "; the watched process is gone".to_owned(),
    });
    format!("{reading}; own CPU {own:.1} s{}", watched.unwrap_or_default())
}

/// User and system time so far: fields 14 and 15 of /proc/PID/stat (proc(5)), counted behind the name's last bracket.
fn cpu_seconds(process: u32) -> Option<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let mut fields = stat.rsplit(')').next()?.split_ascii_whitespace().skip(11);
    let (user, system): (f64, f64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((user + system) / TICKS)
}

/// `VmRSS`, given by the kernel in KiB.
fn resident_mib(process: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches(" kB").parse::<f64>().ok().map(|kib| kib / 1024.0)
}
