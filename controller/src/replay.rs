//! Replay: the stored inputs, decided again, give the same facts byte for byte.
//!
//! Each input is decided under the generation that it names, as the store kept it, by a desk that was empty before the first
//! input; or, where old inputs are forgotten, by one restored from the oldest snapshot that the rest follows. Each fact is
//! compared with the ledger's body of that input and ordinal; and where the replay passes another snapshot, the desk must be
//! the one that the store had then. Nothing is written and nothing is sent. Inputs beyond the last
//! committed one were never decided and are left out, so that a running controller can be replayed as well.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use serde::Serialize;
use watchkeep_desk::{Desk, Input};

use crate::core::committer::CHAIN;
use crate::generation::{Generation, GenerationError};
use crate::ledger;
use crate::ledger::inputs::{self, InputLogError, snapshot};
use crate::store::{Database, ReadPool, StoreError, generations, marks};

/// What was compared, up to the first difference.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The input that the replay began with; later than the first where those before it are forgotten.
    pub from: u64,
    /// Inputs whose facts all agree.
    pub inputs: u64,
    /// Facts that are the same byte for byte.
    pub facts: u64,
    /// Facts whose body was erased: that there is one was compared, and no more.
    pub erased: u64,
    /// The first fact that differs; the replay ends there.
    pub difference: Option<Difference>,
    /// Snapshots on the way that the desk agrees with.
    pub snapshots: u64,
    /// The input after which the desk is not the one that the store had then; the replay ends there.
    pub strayed: Option<u64>,
}

/// A fact that is not what the ledger says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The input's place at the desk.
    pub order: u64,
    /// The fact's place among those of the input, from 0.
    pub ordinal: usize,
    /// The ledger's body; none: it has no such fact.
    pub kept: Option<String>,
    /// What was decided now; none: no such fact.
    pub decided: Option<String>,
}

/// Why a replay could not be done to its end.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error("read the ledger")]
    Store(#[from] StoreError),
    #[error("read the input log")]
    Inputs(#[from] InputLogError),
    #[error(
        "input log \"{folder}\": input {expected} is missing, {found}; a replay needs every input from the first on, or a snapshot \
         that the rest follows"
    )]
    Missing { folder: PathBuf, expected: u64, found: String },
    #[error(
        "input log \"{folder}\" has a snapshot of input {snapshot}, and the store committed {last} only: it is an older copy"
    )]
    Ahead { folder: PathBuf, snapshot: u64, last: u64 },
    #[error("input {order} was judged under generation {hash}, which the store does not have")]
    NoGeneration { order: u64, hash: String },
    #[error("input {order} was judged under generation {hash}, which this version does not accept")]
    Generation {
        order: u64,
        hash: String,
        #[source]
        cause: GenerationError,
    },
}

impl Report {
    /// Whether everything agrees.
    pub fn holds(&self) -> bool {
        self.difference.is_none() && self.strayed.is_none()
    }

    /// Compares what the ledger keeps of one input with what was decided now.
    fn compare(&mut self, order: u64, kept: Vec<Option<String>>, decided: &[String]) {
        for ordinal in 0..kept.len().max(decided.len()) {
            match (kept.get(ordinal), decided.get(ordinal)) {
                (Some(None), Some(_)) => self.erased += 1,
                (Some(Some(kept)), Some(decided)) if kept == decided => self.facts += 1,
                (kept, decided) => {
                    let kept = kept.map(|body| body.clone().unwrap_or_else(|| "(erased)".to_owned()));
                    self.difference = Some(Difference { order, ordinal, kept, decided: decided.cloned() });
                    return;
                }
            }
        }
        self.inputs += 1;
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, inputs, facts, erased, difference, .. } = self;
        let begin = if *from > 1 { format!(" from input {from} on") } else { String::new() };
        match difference {
            None => match self.strayed {
                None => write!(f, "the replay agrees{begin}: {inputs} inputs, {facts} facts byte for byte")?,
                Some(order) => {
                    writeln!(
                        f,
                        "the replay differs after input {order}: its facts agree, and the records of then do not"
                    )?;
                    write!(f, "  agreed before it{begin}: {inputs} inputs, {facts} facts byte for byte")?;
                }
            },
            Some(Difference { order, ordinal, kept, decided }) => {
                let shown = |text: &Option<String>| text.clone().unwrap_or_else(|| "(no such fact)".to_owned());
                writeln!(f, "the replay differs at input {order}, fact {ordinal}")?;
                writeln!(f, "  the ledger: {}", shown(kept))?;
                writeln!(f, "  decided now: {}", shown(decided))?;
                write!(f, "  agreed before it{begin}: {inputs} inputs, {facts} facts byte for byte")?;
            }
        }
        if self.snapshots > 0 {
            write!(f, "; the records agree at {} snapshots", self.snapshots)?;
        }
        if *erased > 0 {
            write!(f, "; of {erased} more the body was erased")?;
        }
        Ok(())
    }
}

/// Decides every committed input again and compares what follows with the ledger. `inputs` is the folder of the input log.
///
/// # Errors
/// The log or the store cannot be read, an input is missing, or a generation cannot be taken up. A fact that differs is no
/// error: it stands in the report.
pub fn replay(database: &Database, inputs: PathBuf) -> Result<Report, ReplayError> {
    let readers = database.readers(1);
    let last = readers.read(|tx| marks::committed(tx, CHAIN))?.map_or(0, |(order, _)| order);
    let snapshot = snapshot::beginning(&inputs)?;
    let from = snapshot.as_ref().map_or(1, |snapshot| snapshot.order + 1);
    let desk = snapshot.map_or_else(Desk::default, |snapshot| Desk::restore(snapshot.records));
    let report = Report { from, ..Report::default() };
    let passed = snapshot::list(&inputs)?.into_iter().filter(|order| *order >= from).collect();
    let mut replay = Replay { readers, desk, generation: None, report, folder: inputs.clone(), passed };
    let missing = |expected, found| ReplayError::Missing { folder: inputs.clone(), expected, found };
    if last + 1 < from {
        return Err(ReplayError::Ahead { folder: inputs.clone(), snapshot: from - 1, last });
    }
    if last + 1 == from {
        return Ok(replay.report);
    }
    let mut expected = from;
    for input in inputs::read(&inputs, from)? {
        let input = input?;
        if input.order != expected {
            return Err(missing(expected, format!("{} comes where it belongs", input.order)));
        }
        replay.decide(&input)?;
        expected += 1;
        if input.order == last || !replay.report.holds() {
            return Ok(replay.report);
        }
    }
    Err(missing(expected, format!("and {last} were committed")))
}

/// A desk that decides again.
struct Replay {
    readers: ReadPool,
    desk: Desk,
    /// The one that the input before named.
    generation: Option<Generation>,
    report: Report,
    /// Of the input log.
    folder: PathBuf,
    /// Inputs after which there is a snapshot to compare with.
    passed: BTreeSet<u64>,
}

impl Replay {
    fn decide(&mut self, input: &Input) -> Result<(), ReplayError> {
        self.take_up(input)?;
        let generation = self.generation.as_ref().expect("it was taken up a line above");
        let decision = self.desk.decide(&generation.config, input);
        let text = |fact| serde_json::to_string(fact).expect("a fact is plain data with text for keys");
        let decided: Vec<String> = decision.facts.iter().map(text).collect();
        let kept = self.readers.read(|tx| ledger::bodies(tx, CHAIN, input.order))?;
        self.report.compare(input.order, kept, &decided);
        if self.passed.contains(&input.order) && self.report.holds() {
            let kept = snapshot::load(&self.folder, input.order)?;
            match Desk::restore(kept.records) == self.desk {
                true => self.report.snapshots += 1,
                false => self.report.strayed = Some(input.order),
            }
        }
        Ok(())
    }

    fn take_up(&mut self, input: &Input) -> Result<(), ReplayError> {
        if self.generation.as_ref().is_some_and(|generation| generation.hash == input.generation) {
            return Ok(());
        }
        let (order, hash) = (input.order, input.generation.clone());
        let kept = self.readers.read(|tx| generations::get(tx, &hash))?;
        let Some(kept) = kept else { return Err(ReplayError::NoGeneration { order, hash }) };
        let checked = Generation::check(kept.files);
        self.generation = Some(checked.map_err(|cause| ReplayError::Generation { order, hash, cause })?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(kept: &[Option<&str>], decided: &[&str]) -> Report {
        let mut report = Report::default();
        let kept = kept.iter().map(|body| body.map(str::to_owned)).collect();
        let decided: Vec<String> = decided.iter().map(|&body| body.to_owned()).collect();
        report.compare(7, kept, &decided);
        report
    }

    #[test]
    fn what_is_the_same_agrees_and_erased_bodies_are_counted() {
        let report = compared(&[Some("a"), None, Some("c")], &["a", "b", "c"]);
        assert_eq!((report.inputs, report.facts, report.erased, report.holds()), (1, 2, 1, true));
        let said = "the replay agrees: 1 inputs, 2 facts byte for byte; of 1 more the body was erased";
        assert_eq!(report.to_string(), said);
    }

    /// Kept, decided, and the ordinal and two texts that are to be named.
    type Differs<'a> = (&'a [Option<&'a str>], &'a [&'a str], usize, &'a str, &'a str);

    #[test]
    fn the_first_that_differs_is_named_with_both_texts() {
        let cases: [Differs<'_>; 4] = [
            (&[Some("a"), Some("b")], &["a", "x"], 1, "b", "x"),
            (&[Some("a")], &["a", "x"], 1, "(no such fact)", "x"),
            (&[Some("a"), Some("b")], &["a"], 1, "b", "(no such fact)"),
            (&[None], &[], 0, "(erased)", "(no such fact)"),
        ];
        for (kept, decided, ordinal, was, is) in cases {
            let report = compared(kept, decided);
            let difference = report.difference.clone().expect("they differ");
            assert_eq!((report.inputs, difference.order, difference.ordinal), (0, 7, ordinal));
            let text = report.to_string();
            assert!(text.contains(&format!("the ledger: {was}\n  decided now: {is}\n")), "{text}");
        }
    }
}
