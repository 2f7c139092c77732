//! Answering from coarse blocks.

use std::collections::{BTreeMap, BTreeSet};

use watchkeep_rules::promql::ast::{Expr, ExprKind, VectorSelector};
use watchkeep_rules::promql::labels::Labels;
use watchkeep_rules::promql::series::{Point, Samples, Series};
use watchkeep_rules::selector::{MatchOp, Matcher, Selector};

use super::{Aggregate, Bucket, COLUMNS, Coarse, Resolution};
use crate::samples::chunk::Chunk;
use crate::samples::file::{self, StoredDerived};
use crate::samples::host::labels_of_stored;
use crate::samples::reader::{Question, Reader};

/// By which a selector says what of a bucket it wants. No series has it.
const AGGREGATE: &str = "__aggregate__";

/// The expression with each selector told what of a bucket it wants, from the function around it; none where one of them is
/// meant for samples themselves (`quantile_over_time`), or looks back less than two buckets.
pub fn aggregated(expr: &Expr, resolution: Resolution) -> Option<Expr> {
    let mut expr = expr.clone();
    tell(&mut expr, Some(Aggregate::Average), resolution).then_some(expr)
}

/// What a function over a range wants; none: the samples themselves.
fn wanted(function: &str) -> Option<Aggregate> {
    match function {
        "min_over_time" => Some(Aggregate::Min),
        "max_over_time" => Some(Aggregate::Max),
        "sum_over_time" => Some(Aggregate::Sum),
        "avg_over_time" => Some(Aggregate::Average),
        "rate" | "increase" | "delta" | "deriv" | "last_over_time" | "predict_linear" | "present_over_time" => {
            Some(Aggregate::Last)
        }
        _ => None,
    }
}

fn tell(expr: &mut Expr, aggregate: Option<Aggregate>, resolution: Resolution) -> bool {
    match &mut expr.kind {
        ExprKind::Number(_) | ExprKind::Duration(_) | ExprKind::String(_) => true,
        ExprKind::Vector(selector) => aggregate.is_some_and(|aggregate| mark(selector, aggregate)),
        ExprKind::Matrix { selector, range } => {
            let is_long = *range >= 2 * resolution.ms();
            is_long && aggregate.is_some_and(|aggregate| mark(selector, aggregate))
        }
        // What it is evaluated at in between, buckets do not know.
        ExprKind::Subquery { .. } => false,
        ExprKind::Call { function, args } => {
            let takes_range = args.iter().any(|arg| matches!(arg.kind, ExprKind::Matrix { .. }));
            let aggregate = if takes_range { wanted(function.name) } else { Some(Aggregate::Average) };
            let is_absence = function.name.starts_with("absent") || function.name == "timestamp";
            !is_absence && args.iter_mut().all(|arg| tell(arg, aggregate, resolution))
        }
        ExprKind::Aggregate { param, expr, .. } => {
            let average = Some(Aggregate::Average);
            param.iter_mut().all(|param| tell(param, average, resolution)) && tell(expr, average, resolution)
        }
        ExprKind::Binary(binary) => {
            tell(&mut binary.lhs, aggregate, resolution) && tell(&mut binary.rhs, aggregate, resolution)
        }
        ExprKind::Negate(expr) | ExprKind::Plus(expr) | ExprKind::Paren(expr) => tell(expr, aggregate, resolution),
    }
}

fn mark(selector: &mut VectorSelector, aggregate: Aggregate) -> bool {
    let (label, value) = (AGGREGATE.to_owned(), aggregate.word().to_owned());
    selector.matchers.matchers.push(Matcher { label, op: MatchOp::Equal, value });
    true
}

/// Samples in buckets: a point at the end of each. For expressions that [`aggregated`] gave.
pub struct Coarsely<'a> {
    pub coarse: &'a Coarse,
    pub reader: &'a Reader,
    pub resolution: Resolution,
}

/// Series and their buckets, by where those end.
type Found = BTreeMap<Labels, BTreeMap<i64, Bucket>>;

impl Samples for Coarsely<'_> {
    fn select(&self, matchers: &Selector, after: i64, until: i64) -> Result<Vec<Series>, String> {
        let (aggregate, matchers) = unmarked(matchers);
        // A bucket that ends after `after` may begin before it.
        let after =
            self.resolution.end_of(after).saturating_sub(self.resolution.ms()).max(after - self.resolution.ms());
        // What is in memory is read whole, the rest from files: nothing is counted twice.
        let whole = self.resolution.end_of(self.reader.in_memory()).saturating_sub(self.resolution.ms());
        let mut found = Found::new();
        if after < whole {
            let question = self.reader.question(&matchers, after, until.min(whole));
            let covered = self.of_blocks(&question, &mut found)?;
            self.put(self.reader.of_files_but(&question, &covered)?, &mut found);
        }
        if until > whole {
            self.put(self.reader.select(&matchers, after.max(whole), until)?, &mut found);
        }
        let series = found.into_iter().map(|(labels, buckets)| {
            let points = buckets.into_iter().map(|(at, bucket)| Point { at, value: bucket.value(aggregate) });
            Series::new(labels, points.filter(|point| point.at <= until).collect())
        });
        Ok(series.filter(|series| !series.points.is_empty()).collect())
    }
}

impl Coarsely<'_> {
    fn put(&self, series: Vec<Series>, found: &mut Found) {
        for Series { labels, points, .. } in series {
            let buckets = found.entry(labels).or_default();
            for point in points.into_iter().filter(|point| !point.is_stale()) {
                add(buckets, self.resolution.end_of(point.at), Bucket::of(point.at, point.value));
            }
        }
    }

    /// What coarse blocks have, and the names of the block files that they were made of.
    fn of_blocks(&self, question: &Question, found: &mut Found) -> Result<BTreeSet<String>, String> {
        let folder = self.coarse.folder(self.resolution);
        let names = folder.list().map_err(|error| format!("list coarse blocks: {error}"))?;
        let (mut covered, mut points) = (BTreeSet::new(), 0);
        for name in names.iter().filter(|name| file::sealed_at(name).is_some_and(|at| at + 60_000 > question.after)) {
            // One that is damaged, or that was removed since: the block files are read, where they are there still.
            let Ok(index) = file::index(folder, name) else { continue };
            let hosts = index.hosts.iter();
            for host in hosts.filter(|host| host.from <= question.until && host.until > question.after) {
                let part = index.host(folder, name, host).map_err(|fault| fault.to_string())?;
                for table in part.derived {
                    points += of_table(table, question, found)?;
                    question.fits(found.len(), points)?;
                }
            }
            covered.extend(index.covers.iter().cloned());
        }
        Ok(covered)
    }
}

/// Buckets of the series of a table that are asked for; how many there were.
fn of_table(table: StoredDerived, question: &Question, found: &mut Found) -> Result<usize, String> {
    let slots: Vec<u32> = (0..table.series.len() as u32).collect();
    let chunk = Chunk::restore(table.chunk, &slots, COLUMNS)?;
    let times = chunk.times();
    let mut count = 0;
    for (slot, stored) in slots.iter().zip(&table.series) {
        let labels = labels_of_stored(stored);
        if !question.matchers.matches_by(|name| labels.get(name)) {
            continue;
        }
        let columns: Vec<Vec<(i64, f64)>> =
            (0..COLUMNS).map(|column| chunk.points(&times, *slot, column).collect()).collect();
        let buckets = found.entry(labels).or_default();
        for (row, (end, _)) in columns[0].iter().enumerate() {
            if *end <= question.after || *end > question.until {
                continue;
            }
            let value = |column: usize| columns[column].get(row).map_or(f64::NAN, |(_, value)| *value);
            add(buckets, *end, Bucket::restored(std::array::from_fn(value), *end));
            count += 1;
        }
    }
    Ok(count)
}

fn add(buckets: &mut BTreeMap<i64, Bucket>, end: i64, bucket: Bucket) {
    buckets.entry(end).and_modify(|known| known.merge(bucket)).or_insert(bucket);
}

/// What is wanted of buckets, and the matchers without that.
fn unmarked(matchers: &Selector) -> (Aggregate, Selector) {
    let (marks, others): (Vec<Matcher>, Vec<Matcher>) =
        matchers.matchers.iter().cloned().partition(|matcher| matcher.label == AGGREGATE);
    let aggregate = marks.first().and_then(|mark| Aggregate::ALL.into_iter().find(|one| one.word() == mark.value));
    (aggregate.unwrap_or(Aggregate::Average), Selector { matchers: others })
}
