//! Asking for samples of all hosts, from any thread: what workers have in memory, and beyond that block files.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use watchkeep_rules::promql::labels::Labels;
use watchkeep_rules::promql::series::{Point, Samples, Series};
use watchkeep_rules::selector::{MatchOp, Selector};

use super::file::{self, Index};
use super::folder::Folder;
use super::foreign::wire::Metadata;
use super::foreign::{FOREIGN, Foreign};
use super::host::merged;
use super::{FLEET, HostSeries, SharedSeries, Templates};
use crate::detect::metrics::Standing;

const BUSY: &str = "the controller has no time for questions now; ask again";

/// How long workers are waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// What samples are asked for: the series that all matchers take, their points in `(after, until]`.
#[derive(Clone, Debug)]
pub struct Question {
    pub matchers: Selector,
    pub after: i64,
    pub until: i64,
    /// Only which series there are; they come without their points.
    pub labels_only: bool,
    /// More are an error.
    pub series_max: usize,
    pub points_max: usize,
}

impl Question {
    /// What one host has of it.
    ///
    /// # Errors
    /// As [`Samples::select`].
    pub fn answer(&self, host: &HostSeries) -> Result<Vec<Series>, String> {
        let mut found = host.select(&self.matchers, self.after, self.until)?;
        if self.labels_only {
            found.iter_mut().for_each(|series| series.points = Vec::new());
        }
        Ok(found)
    }

    /// # Errors
    /// There are more of one or the other than it wants.
    pub fn fits(&self, series: usize, points: usize) -> Result<(), String> {
        let too_many = |found: usize, most: usize, what: &str| {
            format!(
                "{} takes {found} {what} or more, at most {most} are read; ask for fewer or a shorter time",
                self.matchers
            )
        };
        if series > self.series_max {
            return Err(too_many(series, self.series_max, "series"));
        }
        if points > self.points_max { Err(too_many(points, self.points_max, "points")) } else { Ok(()) }
    }
}

/// A question on its way to a worker.
#[derive(Debug)]
pub enum Ask {
    Samples {
        question: Arc<Question>,
        answer: SyncSender<Result<Vec<Series>, String>>,
    },
    /// How the rules of its hosts stand.
    Rules(SyncSender<Standing>),
    /// What its hosts' agents say of their metrics.
    Metadata(SyncSender<BTreeMap<String, Metadata>>),
}

/// A worker's answer.
pub(super) type Answered = Result<Vec<Series>, String>;

/// Hands a question to one worker; false: it takes none now.
pub type Asking = Arc<dyn Fn(usize, Ask) -> bool + Send + Sync>;

/// Samples of the whole fleet. Blocks while it reads: not for a thread that must go on.
#[derive(Clone)]
pub struct Reader {
    workers: usize,
    /// Whether hosts' samples are read, too.
    hosts: bool,
    asking: Asking,
    folder: Folder,
    /// What rules across hosts recorded, as far as it is in memory.
    recorded: SharedSeries,
    foreign: Arc<Foreign>,
    /// Instants after this are in memory.
    in_memory: Arc<dyn Fn() -> i64 + Send + Sync>,
    series_max: usize,
    points_max: usize,
    /// First and last instant of each file's samples, once it was looked at.
    spans: Arc<Mutex<BTreeMap<String, (i64, i64)>>>,
}

/// Series and points of one question, where nothing else is said.
const SERIES_MAX: usize = 50_000;
const POINTS_MAX: usize = 10_000_000;

impl Reader {
    /// A reader of `workers` workers, asked by `asking`, of what rules across hosts `recorded`, and of `foreign`; what is older
    /// than `in_memory` says is read from `folder`.
    pub fn new(
        workers: usize,
        asking: Asking,
        recorded: SharedSeries,
        folder: Folder,
        foreign: Arc<Foreign>,
        in_memory: impl Fn() -> i64 + Send + Sync + 'static,
    ) -> Self {
        let in_memory = Arc::new(in_memory);
        Self {
            workers,
            hosts: true,
            asking,
            folder,
            recorded,
            foreign,
            in_memory,
            series_max: SERIES_MAX,
            points_max: POINTS_MAX,
            spans: Arc::default(),
        }
    }

    /// What is in memory, where `of_workers` answered what theirs is.
    fn held_in_memory(
        &self,
        question: &Question,
        of_workers: impl Iterator<Item = Result<Vec<Series>, String>>,
    ) -> Result<Vec<(Labels, Vec<Point>)>, String> {
        let mut found = Vec::new();
        for series in of_workers {
            let series = series?;
            found.extend(series.into_iter().map(|series| (series.labels, series.points)));
            let points = found.iter().map(|(_, points): &(Labels, Vec<Point>)| points.len()).sum();
            question.fits(found.len(), points)?;
        }
        let recorded = question.answer(&self.recorded.lock().unwrap_or_else(PoisonError::into_inner))?;
        let of_others = self.foreign.answer(question)?;
        found.extend(recorded.into_iter().chain(of_others).map(|series| (series.labels, series.points)));
        let points = found.iter().map(|(_, points): &(Labels, Vec<Point>)| points.len()).sum();
        question.fits(found.len(), points)?;
        Ok(found)
    }

    /// Asks every worker at once; gives their answers, one by one.
    fn ask_workers<T>(
        &self,
        ask: impl Fn(SyncSender<T>) -> Ask,
    ) -> Result<impl Iterator<Item = Result<T, String>>, String> {
        let until = Instant::now() + PATIENCE;
        let mut answers: Vec<Receiver<T>> = Vec::new();
        for worker in 0..self.workers {
            let (answer, receiver) = sync_channel(1);
            if !(self.asking)(worker, ask(answer)) {
                return Err(BUSY.to_owned());
            }
            answers.push(receiver);
        }
        Ok(answers.into_iter().map(move |answer| {
            let answer = answer.recv_timeout(until.saturating_duration_since(Instant::now()));
            answer.map_err(|_| "a worker gave no answer in time; ask again".to_owned())
        }))
    }

    /// How the rules of single hosts stand.
    ///
    /// # Errors
    /// A worker gave no answer.
    pub fn rules_of_hosts(&self) -> Result<Standing, String> {
        let mut standing = Standing::default();
        for of_worker in self.ask_workers(Ask::Rules)? {
            standing.merge(of_worker?);
        }
        Ok(standing)
    }

    /// What agents and those who write here say of their metrics, by name.
    ///
    /// # Errors
    /// A worker gave no answer.
    pub fn metadata(&self) -> Result<BTreeMap<String, Metadata>, String> {
        let mut metadata = self.foreign.metadata();
        for of_worker in self.ask_workers(Ask::Metadata)? {
            metadata.extend(of_worker?);
        }
        Ok(metadata)
    }

    /// The same, but for what hosts were measured at.
    #[must_use]
    pub fn of_others(&self) -> Self {
        Self { workers: 0, hosts: false, ..self.clone() }
    }

    /// The series that others write.
    pub fn foreign(&self) -> &Foreign {
        &self.foreign
    }

    /// What block files have, but for those of these names.
    pub(super) fn of_files_but(&self, question: &Question, names: &BTreeSet<String>) -> Result<Vec<Series>, String> {
        let mut found = Vec::new();
        self.add_what_files_have(question, names, &mut found)?;
        Ok(merged(found))
    }

    /// Instants after this are in memory.
    pub(super) fn in_memory(&self) -> i64 {
        (self.in_memory)()
    }

    fn add_what_files_have(
        &self,
        question: &Question,
        but: &BTreeSet<String>,
        found: &mut Vec<(Labels, Vec<Point>)>,
    ) -> Result<(), String> {
        let read = |error: std::io::Error| format!("list block files: {error}");
        let names = self.folder.list().map_err(read)?;
        let mut points: usize = found.iter().map(|(_, points)| points.len()).sum();
        // What retention removed is forgotten here, too.
        self.spans.lock().unwrap_or_else(PoisonError::into_inner).retain(|name, _| names.binary_search(name).is_ok());
        // A file has no sample from after it was sealed, but for clocks that are a little ahead.
        let wanted = names.iter().filter(|name| file::sealed_at(name).is_some_and(|at| at + 60_000 > question.after));
        for name in wanted.filter(|name| !but.contains(*name)) {
            if self.known_span(name).is_some_and(|(from, until)| from > question.until || until <= question.after) {
                continue;
            }
            // Retention or a worker that set it aside may have taken it since it was listed.
            let Ok(index) = file::index(&self.folder, name) else { continue };
            self.note_span(name, &index);
            for series in self.of_file(name, &index, question)? {
                points += series.points.len();
                found.push((series.labels, series.points));
                question.fits(found.len(), points)?;
            }
        }
        Ok(())
    }

    fn of_file(&self, name: &str, index: &Index, question: &Question) -> Result<Vec<Series>, String> {
        let mut named = question.matchers.matchers.iter().filter(|matcher| matcher.label == "instance");
        let only = named.find(|matcher| matcher.op == MatchOp::Equal).map(|matcher| matcher.value.as_str());
        let (mut found, mut templates) = (Vec::new(), Templates::default());
        for host in &index.hosts {
            let apart = host.from > question.until || host.until <= question.after;
            // What rules across hosts record, and what others write, may have any host's name. What an agent scrapes and checks
            // has an instance of its own.
            let of_host = || self.hosts && only.is_none_or(|only| only == host.agent || index.names_instance(only));
            let is_named = [FLEET, FOREIGN].contains(&host.agent.as_str()) || of_host();
            if apart || !is_named {
                continue;
            }
            let part = index.host(&self.folder, name, host).map_err(|fault| fault.to_string())?;
            let mut series = HostSeries::new(&host.agent, &host.labels);
            series.restore(index, part, question.after, &mut templates)?;
            found.extend(question.answer(&series)?);
        }
        Ok(found)
    }

    fn known_span(&self, name: &str) -> Option<(i64, i64)> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner).get(name).copied()
    }

    fn note_span(&self, name: &str, index: &Index) {
        let spans = index.hosts.iter().filter(|host| host.from <= host.until);
        let span = spans.fold((i64::MAX, i64::MIN), |(from, until), host| (from.min(host.from), until.max(host.until)));
        self.spans.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), span);
    }

    fn ask(&self, matchers: &Selector, after: i64, until: i64, labels_only: bool) -> Result<Vec<Series>, String> {
        let question = Arc::new(Question { labels_only, ..self.question(matchers, after, until) });
        let asked = self.ask_workers(|answer| Ask::Samples { question: Arc::clone(&question), answer })?;
        self.complete(&question, asked.map(|series| series?))
    }

    pub(super) fn question(&self, matchers: &Selector, after: i64, until: i64) -> Question {
        let (series_max, points_max) = (self.series_max, self.points_max);
        Question { matchers: matchers.clone(), after, until, labels_only: false, series_max, points_max }
    }

    /// What workers answered, and what else there is.
    pub(super) fn complete(
        &self,
        question: &Question,
        of_workers: impl Iterator<Item = Result<Vec<Series>, String>>,
    ) -> Result<Vec<Series>, String> {
        let mut found = self.held_in_memory(question, of_workers)?;
        if question.after < self.in_memory() {
            self.add_what_files_have(question, &BTreeSet::new(), &mut found)?;
        }
        Ok(merged(found))
    }

    /// Hands a question to every worker but one; gives where each will answer.
    ///
    /// # Errors
    /// One takes none now.
    pub(super) fn ask_others(
        &self,
        number: usize,
        question: &Arc<Question>,
    ) -> Result<Vec<Receiver<Answered>>, String> {
        let others = (0..self.workers).filter(|worker| *worker != number);
        let asked = others.map(|worker| {
            let (answer, receiver) = sync_channel(1);
            let ask = Ask::Samples { question: Arc::clone(question), answer };
            (self.asking)(worker, ask).then_some(receiver).ok_or_else(|| BUSY.to_owned())
        });
        asked.collect()
    }

    /// The label sets of the series that have a point in `(after, until]`, in order.
    ///
    /// # Errors
    /// As [`Samples::select`].
    pub fn labels(&self, matchers: &Selector, after: i64, until: i64) -> Result<Vec<Labels>, String> {
        Ok(self.ask(matchers, after, until, true)?.into_iter().map(|series| series.labels).collect())
    }
}

impl Samples for Reader {
    fn select(&self, matchers: &Selector, after: i64, until: i64) -> Result<Vec<Series>, String> {
        self.ask(matchers, after, until, false)
    }
}

#[cfg(test)]
mod tests {
    use watchkeep_rules::promql::labels::NAME;

    use super::*;
    use crate::samples::{Covered, Receipt, Sealing};

    #[test]
    fn what_an_agent_scraped_is_found_in_files_by_its_own_instance() {
        let dir = tempfile::tempdir().expect("a folder for the test");
        let folder = Folder::open(&dir.path().join("samples")).expect("it can be made");
        let metric = watchkeep_protocol::Metric { name: "hits".to_owned(), ..Default::default() };
        let labels = ["instance", "job"].map(str::to_owned).to_vec();
        let template = watchkeep_protocol::Template {
            collector: "gather".to_owned(),
            metrics: vec![metric],
            instance_labels: labels,
        };
        let row = watchkeep_protocol::layout::Instance { values: ["web-1:9187", "shop"].map(str::to_owned).to_vec() };
        let blocks = vec![watchkeep_protocol::Block { template, instances: vec![row] }];
        let mut templates = Templates::default();
        let layout = watchkeep_protocol::Layout::whole(blocks);
        let layout = Arc::new(crate::samples::HeldLayout::new(&layout, &mut templates));
        let rows = vec![watchkeep_protocol::Row { block: 0, values: vec![7.0], flags: Vec::new() }];
        let report = watchkeep_protocol::Report { rows, ..Default::default() };
        let mut host = HostSeries::new("web-1", &std::collections::BTreeMap::new());
        host.take(&report, &layout, 1_000);
        let mut sealing = Sealing::new(2_000);
        host.hand_over(Covered { agent: "web-1".to_owned(), ..Covered::default() }, &mut sealing);
        assert!(matches!(sealing.write(&folder, 0), Receipt::Sealed { .. }));
        let (foreign, _) = Foreign::open(&dir.path().join("foreign"), &folder, 0).expect("it can be made");
        let recorded = SharedSeries::default();
        let reader = Reader::new(0, Arc::new(|_, _| false), recorded, folder, Arc::new(foreign), || 2_500);
        let count = |matchers: &str| {
            let matchers = Selector::parse(matchers).expect("a selector");
            reader.select(&matchers, 0, 5_000).expect("it can be read").len()
        };
        assert_eq!(count("{__name__=\"hits\", instance=\"web-1:9187\", job=\"shop\"}"), 1);
        assert_eq!(count("{__name__=\"hits\", instance=\"web-2:9187\"}"), 0);
        assert_eq!(count("{__name__=\"hits\"}"), 1);
    }

    #[test]
    fn what_rules_across_hosts_recorded_is_found_in_memory_and_in_files_whatever_host_it_names() {
        let dir = tempfile::tempdir().expect("a folder for the test");
        let folder = Folder::open(&dir.path().join("samples")).expect("it can be made");
        let labels = Labels::new([(NAME, "load:max"), ("instance", "web-1")]);
        let mut sealed = HostSeries::default();
        sealed.write(&labels, 1_000, 7.0);
        let mut sealing = Sealing::new(2_000);
        sealed.hand_over(Covered { agent: FLEET.to_owned(), ..Covered::default() }, &mut sealing);
        assert!(matches!(sealing.write(&folder, 1), Receipt::Sealed { .. }));
        let recorded = SharedSeries::default();
        recorded.lock().expect("no test panics with it").write(&labels, 3_000, 9.0);
        let (foreign, _) = Foreign::open(&dir.path().join("foreign"), &folder, 0).expect("it can be made");
        let reader = Reader::new(0, Arc::new(|_, _| false), recorded, folder, Arc::new(foreign), || 2_500);
        let found = |matchers: &str, after: i64| -> Vec<(i64, f64)> {
            let matchers = Selector::parse(matchers).expect("a selector");
            let series = reader.select(&matchers, after, 5_000).expect("it can be read");
            series.iter().flat_map(|series| series.points.iter().map(|point| (point.at, point.value))).collect()
        };
        let whole: Vec<(i64, f64)> = vec![(1_000, 7.0), (3_000, 9.0)];
        assert_eq!(found("{__name__=\"load:max\", instance=\"web-1\"}", 0), whole);
        assert_eq!(found("{__name__=\"load:max\"}", 2_500), whole[1..]);
    }
}
