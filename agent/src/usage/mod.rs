//! Who uses the host: services and containers by their control groups, processes by their names.
//!
//! Both look through whole tables of the kernel, so they are sources of [`crate::gather`] with a slow pace of their own, and
//! are off unless `usage` in the agent's file says so. [`cgroups`] uses cAdvisor's names, [`processes`] process-exporter's.

mod cgroups;
pub mod config;
mod processes;

use std::time::Duration;

use watchkeep_protocol::MetricKind;

pub use config::UsageConfig;

use crate::gather::{Book, Bounds, Reading, Sample, Source};
use crate::root::Root;
use cgroups::Cgroups;
use processes::Processes;

/// One value with its labels.
#[derive(Clone, Debug, PartialEq)]
struct Said {
    name: &'static str,
    labels: Vec<(String, String)>,
    kind: MetricKind,
    help: &'static str,
    value: f64,
}

/// What looks through a table once; on a thread that may take its time.
trait Look: Send + 'static {
    /// # Errors
    /// Why there is nothing to see.
    fn look(&mut self) -> Result<Vec<Said>, String>;
}

/// A look as a source.
struct Looking<L> {
    what: &'static str,
    interval: Duration,
    /// Away while it looks.
    look: Option<L>,
    book: Book,
    failing: bool,
}

/// The sources that the configuration wants.
pub fn sources(config: &UsageConfig, root: &Root) -> Vec<Box<dyn Source>> {
    let mut all: Vec<Box<dyn Source>> = Vec::new();
    if config.services {
        all.push(Box::new(Looking::new("services", config.interval, Cgroups::new(root))));
    }
    if config.processes > 0 {
        all.push(Box::new(Looking::new("processes", config.interval, Processes::new(root, config.processes))));
    }
    all
}

impl<L: Look> Looking<L> {
    fn new(what: &'static str, interval: Duration, look: L) -> Self {
        let book = Book::new(Vec::new(), Bounds { series: 8_000, blocks: 32, bytes: 200 << 10 });
        Self { what, interval, look: Some(look), book, failing: false }
    }

    async fn read_once(&mut self) {
        let Some(mut look) = self.look.take() else { return };
        let looked = tokio::task::spawn_blocking(move || {
            let found = look.look();
            (look, found)
        });
        self.book.begin();
        let found = match looked.await {
            Ok((look, found)) => {
                self.look = Some(look);
                found
            }
            Err(error) => Err(error.to_string()),
        };
        match found {
            Ok(all) => {
                for said in &all {
                    let Said { name, labels, kind, help, value } = said;
                    self.book.put(Sample { name, labels, kind: *kind, help, value: *value });
                }
                self.book.end();
                self.failing = false;
            }
            Err(why) => {
                self.book.fail();
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!(what = self.what, "usage cannot be read: {why}");
                }
            }
        }
    }
}

impl<L: Look> Source for Looking<L> {
    fn books(&self) -> Vec<&Book> {
        vec![&self.book]
    }

    fn interval(&self) -> Duration {
        self.interval
    }

    fn read(&mut self) -> Reading<'_> {
        Box::pin(self.read_once())
    }
}
