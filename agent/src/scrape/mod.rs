//! Exporters that are on the host already, scraped as Prometheus would.
//!
//! [`config`] reads `scrape_configs`, [`text`] the expositions; a [`Target`] is one source of [`crate::gather`]. Labels,
//! `up` and the `scrape_*` series are Prometheus's. One thing differs: a target on the host itself (`localhost:9187`) is
//! named by the host, since a thousand of them would be called `localhost:9187` otherwise.

pub mod config;
mod text;

use std::time::{Duration, Instant};

use watchkeep_protocol::MetricKind;

pub use config::ScrapeConfig;

use crate::gather::{Book, Bounds, Reading, Sample, Source};
use crate::http::{self, Head, HttpError, Request, Taker, Trace, Url};
use config::StaticConfig;
use text::{Format, Reader};

/// What Prometheus accepts.
const ACCEPT: &str = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                      text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

/// A target's own series.
const UP: [(&str, &str); 5] = [
    ("up", "Whether the target answered the last scrape."),
    ("scrape_duration_seconds", "How long the last scrape took."),
    ("scrape_samples_scraped", "Samples that the target exposed."),
    ("scrape_samples_post_metric_relabeling", "Samples that were taken; fewer where some do not fit into a report."),
    ("scrape_series_added", "Series of the last scrape that were new, about."),
];

/// One exporter.
pub struct Target {
    config: ScrapeConfig,
    url: Url,
    /// Labels that the series get where they have none of that name.
    labels: Vec<(String, String)>,
    up: Book,
    series: Book,
    failing: bool,
}

/// The sources of all targets, as `agent` is called.
pub fn sources(configs: &[ScrapeConfig], agent: &str) -> Vec<Box<dyn Source>> {
    let mut all: Vec<Box<dyn Source>> = Vec::new();
    for config in configs {
        for (group, address) in config.targets() {
            all.push(Box::new(Target::new(config, group, address, agent)));
        }
    }
    all
}

impl Target {
    fn new(config: &ScrapeConfig, group: &StaticConfig, address: &str, agent: &str) -> Self {
        let url = config.url(address).expect("the configuration was checked");
        let mut labels: Vec<(String, String)> = vec![
            ("instance".to_owned(), named_by_host(&url.host, url.port, agent)),
            ("job".to_owned(), config.job_name.clone()),
        ];
        for (name, value) in &group.labels {
            labels.retain(|(known, _)| known != name);
            labels.push((name.clone(), value.clone()));
        }
        labels.sort_unstable();
        let of_series = if config.honor_labels { Vec::new() } else { labels.clone() };
        let bounds = Bounds { series: config.sample_limit, blocks: 256, bytes: 600 << 10 };
        Self {
            url,
            up: Book::new(labels.clone(), Bounds { series: UP.len(), blocks: 1, bytes: 8 << 10 }),
            series: Book::new(of_series, bounds),
            labels,
            failing: false,
            config: config.clone(),
        }
    }

    async fn scrape(&mut self) -> Result<usize, HttpError> {
        let seconds = self.config.timeout.as_secs_f64();
        let mut headers = vec![
            ("Accept".to_owned(), ACCEPT.to_owned()),
            ("X-Prometheus-Scrape-Timeout-Seconds".to_owned(), seconds.to_string()),
        ];
        if let Some(secret) = &self.config.secret {
            let refused = |error| HttpError::Refused(crate::http::in_full(&error));
            headers.push(secret.header().map_err(refused)?);
        }
        let request = Request { method: "GET", headers: &headers, body: "", follow_redirects: true };
        let labels = if self.config.honor_labels { &self.labels } else { self.series.own() };
        let mut taking = Taking {
            labels: labels.to_vec(),
            honor_labels: self.config.honor_labels,
            sample_limit: self.config.sample_limit,
            body_left: self.config.body_size_limit,
            book: &mut self.series,
            reader: None,
            scraped: 0,
        };
        http::ask(&self.url, &request, &self.config.tls, &mut Trace::default(), &mut taking).await?;
        taking.end().map_err(HttpError::Refused)
    }

    async fn read_once(&mut self) {
        let began = Instant::now();
        self.series.begin();
        let limit = self.config.timeout;
        let scraped = match tokio::time::timeout(limit, self.scrape()).await {
            Ok(Ok(scraped)) => Ok(scraped),
            Ok(Err(error)) => Err(http::in_full(&error)),
            Err(_) => Err(format!("no whole answer within {limit:?}")),
        };
        let before = self.series.series();
        let taken = scraped.as_ref().map_or(0, |scraped| scraped - self.series_end(scraped.to_owned()));
        if scraped.is_err() {
            self.series.fail();
        }
        let added = self.series.series().saturating_sub(before);
        let numbers = [
            f64::from(u8::from(scraped.is_ok())),
            began.elapsed().as_secs_f64(),
            scraped.as_ref().map_or(0, |scraped| *scraped) as f64,
            taken as f64,
            if scraped.is_ok() { added as f64 } else { 0.0 },
        ];
        self.up.begin();
        for ((name, help), value) in UP.into_iter().zip(numbers) {
            self.up.put(Sample { name, labels: &[], kind: MetricKind::Gauge, help, value });
        }
        self.up.end();
        self.tell(scraped);
    }

    /// Ends a good scrape; how many samples were left out.
    fn series_end(&mut self, scraped: usize) -> usize {
        self.series.end();
        self.series.left_out().min(scraped)
    }

    /// Says once that a target fails, and once that it answers again.
    fn tell(&mut self, scraped: Result<usize, String>) {
        let url = self.url.to_string();
        match scraped {
            Err(why) if !std::mem::replace(&mut self.failing, true) => {
                tracing::warn!(job = self.config.job_name, url, "scrape failed: {why}");
            }
            Ok(scraped) if std::mem::take(&mut self.failing) => {
                tracing::info!(job = self.config.job_name, url, scraped, "scrape succeeds again");
            }
            _ => {}
        }
    }
}

impl Source for Target {
    fn books(&self) -> Vec<&Book> {
        vec![&self.up, &self.series]
    }

    fn interval(&self) -> Duration {
        self.config.interval
    }

    fn read(&mut self) -> Reading<'_> {
        Box::pin(self.read_once())
    }
}

/// Takes an answer into a book as it comes.
struct Taking<'a> {
    labels: Vec<(String, String)>,
    honor_labels: bool,
    sample_limit: usize,
    body_left: u64,
    book: &'a mut Book,
    reader: Option<Reader>,
    scraped: usize,
}

impl Taker for Taking<'_> {
    fn head(&mut self, head: &Head) -> Result<(), String> {
        if head.status != 200 {
            return Err(format!("it answers with status {}", head.status));
        }
        if let Some(coding) = head.header("content-encoding").filter(|coding| !coding.eq_ignore_ascii_case("identity"))
        {
            return Err(format!("it answers in \"{coding}\", which was not asked for"));
        }
        self.reader = Some(Reader::new(Format::of(head.header("content-type").unwrap_or_default())));
        Ok(())
    }

    fn body(&mut self, part: &[u8]) -> Result<(), String> {
        self.body_left = self
            .body_left
            .checked_sub(part.len() as u64)
            .ok_or("the answer is larger than body_size_limit; raise it, or have the exporter say less")?;
        let Some(mut reader) = self.reader.take() else { return Ok(()) };
        let read = reader.read(part, &mut |sample| self.put(sample));
        self.reader = Some(reader);
        read
    }
}

impl Taking<'_> {
    fn end(mut self) -> Result<usize, String> {
        if let Some(reader) = self.reader.take() {
            reader.end(&mut |sample| self.put(sample))?;
        }
        Ok(self.scraped)
    }

    fn put(&mut self, sample: Sample<'_>) -> Result<(), String> {
        self.scraped += 1;
        if self.scraped > self.sample_limit {
            return Err(format!(
                "it exposes more than sample_limit, {}; raise it, or have the exporter say less",
                self.sample_limit
            ));
        }
        if self.honor_labels {
            let labels = with_target_labels(sample.labels, &self.labels);
            self.book.put(Sample { labels: &labels, ..sample });
        } else if sample.labels.iter().any(|(name, _)| self.is_own(name)) {
            let labels = self.exported(sample.labels);
            self.book.put(Sample { labels: &labels, ..sample });
        } else {
            self.book.put(sample);
        }
        Ok(())
    }

    fn is_own(&self, name: &str) -> bool {
        self.labels.iter().any(|(own, _)| own == name)
    }

    /// Labels of the exporter's that the target has too get `exported_` before their name, as often as it takes.
    fn exported(&self, labels: &[(String, String)]) -> Vec<(String, String)> {
        let mut all: Vec<(String, String)> = labels.iter().filter(|(name, _)| !self.is_own(name)).cloned().collect();
        for (name, value) in labels.iter().filter(|(name, _)| self.is_own(name)) {
            let mut name = format!("exported_{name}");
            while self.is_own(&name) || all.iter().any(|(known, _)| *known == name) {
                name = format!("exported_{name}");
            }
            all.push((name, value.clone()));
        }
        all.sort_unstable();
        all
    }
}

/// The series' own labels, and those of the target that it has not.
fn with_target_labels(labels: &[(String, String)], target: &[(String, String)]) -> Vec<(String, String)> {
    let missing = target.iter().filter(|(name, _)| labels.iter().all(|(known, _)| known != name));
    let mut all: Vec<(String, String)> = labels.iter().chain(missing).cloned().collect();
    all.sort_unstable();
    all
}

/// `host:port`; of an address on the host itself that of the host, by its agent's name.
pub fn named_by_host(host: &str, port: u16, agent: &str) -> String {
    let is_here = host.parse::<std::net::IpAddr>().map_or_else(
        |_| host == "localhost" || host.ends_with(".localhost"),
        |address| address.is_loopback() || address.is_unspecified(),
    );
    let host = if is_here && !agent.is_empty() { agent } else { host };
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests;
