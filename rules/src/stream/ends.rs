//! Functions over windows whose ends suffice: nothing in between is missing or falls.
//!
//! To the bit what the function of the same name gives for all the points: where falls would be added there is none, and
//! where values are counted or compared they are the same.

use super::recent::Ends;
use crate::promql::eval::parts::{Kind, Sampled, stretch};

/// What a function makes of a window `(from, to]` that its ends suffice for: none where they do not for this function.
pub type OfEnds = fn(&Ends, i64, i64) -> Option<Option<f64>>;

/// The function of this name, as the plain evaluator has it for all points.
pub fn of_ends(name: &str) -> Option<OfEnds> {
    Some(match name {
        "rate" => |ends, from, to| Some(stretched(ends, from, to, Kind::Counter, true)),
        "increase" => |ends, from, to| Some(stretched(ends, from, to, Kind::Counter, false)),
        "delta" => |ends, from, to| Some(stretched(ends, from, to, Kind::Gauge, false)),
        "resets" => |_, _, _| Some(Some(0.0)),
        "changes" => |ends, _, _| ends.unmoved.then_some(Some(0.0)),
        "min_over_time" | "max_over_time" => |ends, _, _| ends.unmoved.then_some(Some(ends.last.value)),
        "count_over_time" => |ends, _, _| Some(Some(ends.count as f64)),
        "first_over_time" => |ends, _, _| Some(Some(ends.first.value)),
        "last_over_time" => |ends, _, _| Some(Some(ends.last.value)),
        "present_over_time" => |_, _, _| Some(Some(1.0)),
        _ => return None,
    })
}

fn stretched(ends: &Ends, from: i64, to: i64, kind: Kind, per_second: bool) -> Option<f64> {
    let (first, last, count) = (ends.first, ends.last, ends.count);
    let sampled = Sampled { first, last, count, change: last.value - first.value };
    (count > 1).then(|| stretch(&sampled, from, to, kind, per_second))
}
