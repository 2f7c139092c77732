//! Vector matching: `on`, `ignoring`, `group_left`, `group_right`.

use std::collections::{BTreeMap, BTreeSet};

use super::grouping::{Signature, is_metadata};
use super::native::{self, Remarks};
use super::{EvalError, Sample};
use crate::promql::ast::{Binary, Card, Grouping};
use crate::promql::labels::Labels;

pub(super) fn signatures<'a>(grouping: &Grouping, vector: &'a [Sample]) -> BTreeSet<Signature<'a>> {
    vector.iter().map(|sample| grouping.signature(&sample.labels)).collect()
}

/// The elements of the "many" side (the left one where both are "one"), each to find its partner.
pub(super) struct Matched<'a> {
    binary: &'a Binary,
    many: &'a [Sample],
    one: BTreeMap<Signature<'a>, &'a Sample>,
}

impl<'a> Matched<'a> {
    /// # Errors
    /// Two elements of the "one" side match the same, even if nothing on the other side does.
    pub fn new(binary: &'a Binary, lhs: &'a [Sample], rhs: &'a [Sample]) -> Result<Self, EvalError> {
        let (many, one, side) = match binary.matching.card {
            Card::OneToMany => (rhs, lhs, "left"),
            Card::OneToOne | Card::ManyToOne => (lhs, rhs, "right"),
        };
        let mut found = Self { binary, many, one: BTreeMap::new() };
        if many.is_empty() || one.is_empty() {
            return Ok(Self { many: &[], ..found });
        }
        for sample in one {
            let signature = binary.matching.grouping.signature(&sample.labels);
            let group = Labels::new(signature.iter().copied());
            if let Some(other) = found.one.insert(signature, sample) {
                return Err(found.refused(format!(
                    "found duplicate series for the match group {group} on the {side} hand-side of the operation: \
                     [{}, {}]; many-to-many matching not allowed: matching labels must be unique on one side",
                    sample.labels, other.labels
                )));
            }
        }
        Ok(found)
    }

    /// The operator applied to each pair.
    ///
    /// # Errors
    /// Two elements match the same partner without `group_left`, or give the same labels with it; also where a
    /// comparison drops them.
    pub fn combined(&self, remarks: &mut Remarks) -> Result<Vec<Sample>, EvalError> {
        let mut seen: BTreeSet<(Signature<'_>, Option<Labels>)> = BTreeSet::new();
        let mut found = Vec::new();
        for sample in self.many {
            let signature = self.binary.matching.grouping.signature(&sample.labels);
            let Some(partner) = self.one.get(&signature) else { continue };
            let labels = labels(self.binary, &sample.labels, &partner.labels);
            let key = match self.binary.matching.card {
                Card::OneToOne => None,
                Card::ManyToOne | Card::OneToMany => Some(labels.clone()),
            };
            if !seen.insert((signature, key)) {
                return Err(self.twice(&labels));
            }
            let value = self.value(sample, partner, remarks);
            found.extend(value.map(|(value, histogram)| Sample { labels, value, histogram }));
        }
        Ok(found)
    }

    fn value(&self, many: &Sample, one: &Sample, remarks: &mut Remarks) -> Option<native::Either> {
        let (lhs, rhs) = if self.binary.matching.card == Card::OneToMany { (one, many) } else { (many, one) };
        if lhs.histogram.is_some() || rhs.histogram.is_some() {
            return native::apply(self.binary, &native::either(lhs), &native::either(rhs), remarks);
        }
        let value = self.binary.op.apply(lhs.value, rhs.value).value(self.binary.return_bool, lhs.value)?;
        Some((value, None))
    }

    fn twice(&self, labels: &Labels) -> EvalError {
        self.refused(match self.binary.matching.card {
            Card::OneToOne => format!(
                "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right): {labels} \
                 comes twice"
            ),
            Card::ManyToOne | Card::OneToMany => {
                format!("multiple matches for labels: grouping labels must ensure unique matches: {labels} comes twice")
            }
        })
    }

    fn refused(&self, message: String) -> EvalError {
        EvalError::new(self.binary.op_span, message)
    }
}

/// The "many" side's labels, those in `group_left(…)` taken from the other; of a one-to-one match those that counted.
pub(super) fn labels(binary: &Binary, many: &Labels, one: &Labels) -> Labels {
    let matching = &binary.matching;
    let drops_name = binary.drops_name();
    let one_to_one = matching.card == Card::OneToOne;
    let keeps = |name: &str| {
        let counts = match &matching.grouping {
            Grouping::Only(names) => names.iter().any(|known| known == name),
            Grouping::Except(names) => !names.iter().any(|known| known == name),
        };
        !(drops_name && is_metadata(name)) && (counts || !one_to_one)
    };
    let kept = if many.iter().all(|(name, _)| keeps(name)) { many.clone() } else { many.filtered(keeps) };
    matching.include.iter().fold(kept, |labels, name| labels.with(name, one.get(name).unwrap_or("")))
}
