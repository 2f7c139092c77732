//! Checks: what is looked at from this host, by the names of blackbox_exporter.
//!
//! A check is a source of [`crate::gather`]. Each reading gives `probe_success`, `probe_duration_seconds` and what its kind
//! has to say; where its state changes, an event tells why (`check_failed`, `check_recovered`). One kind a file; [`config`]
//! lists them. Labels: `job` is the check's name, `probe` the agent's, `instance` what is looked at.

mod certificates;
pub mod config;
mod http;
mod json;
mod perfdata;
mod plugin;
mod process;
mod tcp;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use watchkeep_protocol::{Event, MetricKind, limits};

pub use config::Check;
use config::Kind;

use crate::certificate::Validity;
use crate::gather::{Book, Bounds, Reading, Sample, Source, Teller, shortened};
use crate::http::Trace;
use crate::observe::Sighting;

/// Series of one check at most.
const SERIES: usize = 2_000;

/// How a check stands: the states of monitoring plugins, of which the others know the first and the third.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Ok = 0,
    Warning = 1,
    Critical = 2,
    Unknown = 3,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Critical => "critical",
            Self::Unknown => "unknown",
        }
    }
}

/// What one reading found.
#[derive(Debug, Default)]
pub struct Found {
    samples: Vec<Said>,
}

#[derive(Debug)]
struct Said {
    name: &'static str,
    labels: Vec<(String, String)>,
    kind: MetricKind,
    help: &'static str,
    value: f64,
}

impl Found {
    /// A gauge of what is looked at.
    pub fn gauge(&mut self, name: &'static str, help: &'static str, labels: &[(&str, &str)], value: f64) {
        self.say(name, help, labels, MetricKind::Gauge, value);
    }

    fn say(&mut self, name: &'static str, help: &'static str, labels: &[(&str, &str)], kind: MetricKind, value: f64) {
        let mut labels: Vec<(String, String)> =
            labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        labels.retain(|(_, value)| !value.is_empty());
        labels.sort_unstable();
        self.samples.push(Said { name, labels, kind, help, value });
    }

    /// When the first of these certificates (DER) runs out, and by which version of TLS they came.
    fn tls(&mut self, trace: &Trace) {
        let ends = trace.certificates.iter().filter_map(|der| Validity::of(der)).map(|validity| validity.not_after);
        if let Some(first) = ends.min() {
            self.expiry(&[], first);
        }
        if let Some(version) = trace.tls_version {
            self.gauge("probe_tls_version_info", "The version of TLS.", &[("version", version)], 1.0);
        }
    }

    fn expiry(&mut self, labels: &[(&str, &str)], not_after_ms: i64) {
        let help = "When the first of the certificates runs out, Unix seconds.";
        self.gauge("probe_ssl_earliest_cert_expiry", help, labels, not_after_ms as f64 / 1000.0);
    }

    /// What every check over the network says of its way.
    fn way(&mut self, trace: &Trace) {
        let help = "Time that looking up the name took.";
        self.gauge("probe_dns_lookup_time_seconds", help, &[], trace.resolve.as_secs_f64());
        if let Some(address) = trace.address {
            let version = if address.is_ipv6() { 6.0 } else { 4.0 };
            self.gauge("probe_ip_protocol", "Whether it was reached over IP4 or IP6.", &[], version);
        }
    }
}

/// How a reading ended, with a sentence for people.
pub type Verdict = (State, String);

/// One check.
struct Checking {
    check: Check,
    agent: String,
    instance: String,
    book: Book,
    teller: Teller,
    /// The state that was told last.
    told: State,
}

/// The sources of all checks, as `agent` is called; `out` takes their events.
pub fn sources(checks: &[Check], agent: &str, out: Option<&mpsc::Sender<Sighting>>) -> Vec<Box<dyn Source>> {
    let checking = |check: &Check| Box::new(Checking::new(check, agent, out.cloned())) as Box<dyn Source>;
    checks.iter().map(checking).collect()
}

impl Checking {
    fn new(check: &Check, agent: &str, out: Option<mpsc::Sender<Sighting>>) -> Self {
        let mut own: BTreeMap<String, String> =
            [("job".to_owned(), check.name.clone()), ("probe".to_owned(), agent.to_owned())].into();
        own.extend(check.labels.iter().map(|(name, value)| (name.clone(), value.clone())));
        own.retain(|_, value| !value.is_empty());
        let bounds = Bounds { series: SERIES, blocks: 32, bytes: 200 << 10 };
        Self {
            check: check.clone(),
            agent: agent.to_owned(),
            instance: check.kind.instance(agent),
            book: Book::new(own.into_iter().collect(), bounds),
            teller: Teller::new(out),
            told: State::Ok,
        }
    }

    async fn read_once(&mut self) {
        self.teller.go_on();
        let (began, limit) = (Instant::now(), self.check.timeout);
        let mut found = Found::default();
        let (state, why) = look(&self.check.kind, limit, &self.agent, &mut found).await;
        let took = began.elapsed().as_secs_f64();
        found.gauge("probe_duration_seconds", "How long the check took.", &[], took);
        let good = f64::from(u8::from(matches!(state, State::Ok | State::Warning)));
        found.gauge("probe_success", "Whether the check found what it should.", &[], good);
        self.keep(&found);
        self.tell(state, why);
    }

    fn keep(&mut self, found: &Found) {
        self.book.begin();
        for said in &found.samples {
            let is_own = |name: &str| self.book.own().iter().any(|(own, _)| own == name);
            let mut labels: Vec<(String, String)> =
                said.labels.iter().filter(|(name, _)| !is_own(name)).cloned().collect();
            if !is_own("instance") && labels.iter().all(|(name, _)| name != "instance") {
                labels.push(("instance".to_owned(), self.instance.clone()));
                labels.sort_unstable();
            }
            let (name, kind, help, value) = (said.name, said.kind, said.help, said.value);
            self.book.put(Sample { name, labels: &labels, kind, help, value });
        }
        self.book.end();
    }

    /// An event where the state is another than the one told last.
    fn tell(&mut self, state: State, why: String) {
        if state == self.told {
            return;
        }
        let kind = if state == State::Ok { "check_recovered" } else { "check_failed" };
        let labels = [
            ("kind", kind),
            ("check", &self.check.name),
            ("target", &self.instance),
            ("state", state.word()),
            ("was", self.told.word()),
        ];
        let labels = labels.map(|(name, value)| (name.to_owned(), shortened(value, limits::VALUE_BYTES).to_owned()));
        let text = shortened(&why, limits::TEXT_BYTES).to_owned();
        tracing::info!(check = self.check.name, state = state.word(), "{text}");
        self.teller.tell(Event { labels: labels.into(), text });
        self.told = state;
    }
}

impl Source for Checking {
    fn books(&self) -> Vec<&Book> {
        vec![&self.book]
    }

    fn interval(&self) -> Duration {
        self.check.interval
    }

    fn read(&mut self) -> Reading<'_> {
        Box::pin(self.read_once())
    }
}

async fn look(kind: &Kind, limit: Duration, agent: &str, found: &mut Found) -> Verdict {
    let looking = async {
        match kind {
            Kind::Tcp(tcp) => tcp::look(tcp, found).await,
            Kind::Http(http) => http::look(http, found).await,
            Kind::Certificates(paths) => certificates::look(paths, agent, found).await,
            // Programs are killed at their time limit, which these two see to.
            Kind::Plugin(argv) => plugin::look(argv, limit, found).await,
            Kind::Json(argv) => json::look(argv, limit, found).await,
        }
    };
    match kind {
        Kind::Plugin(_) | Kind::Json(_) => looking.await,
        _ => match tokio::time::timeout(limit, looking).await {
            Ok(verdict) => verdict,
            Err(_) => (State::Critical, format!("no answer within {limit:?}")),
        },
    }
}

#[cfg(test)]
mod tests;
