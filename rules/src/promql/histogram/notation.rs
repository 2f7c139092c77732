//! Histograms as rule tests write them: `{{schema:0 count:4 sum:5 z_bucket:1 buckets:[1 2]}}`.

use super::{BUCKETS_MAX, Bucket, CUSTOM, Histogram, ResetHint, SCHEMAS};
use crate::near::near;
use crate::number::shortest;

const KEYS: [&str; 11] = [
    "schema",
    "sum",
    "count",
    "z_bucket",
    "z_bucket_w",
    "buckets",
    "offset",
    "n_buckets",
    "n_offset",
    "counter_reset_hint",
    "custom_values",
];
const HINTS: [(&str, ResetHint); 4] = [
    ("unknown", ResetHint::Unknown),
    ("reset", ResetHint::Reset),
    ("not_reset", ResetHint::NotReset),
    ("gauge", ResetHint::Gauge),
];

/// What the braces hold, before it is put together.
#[derive(Default)]
struct Written {
    histogram: Histogram,
    offset: i32,
    negative_offset: i32,
    positive: Vec<f64>,
    negative: Vec<f64>,
}

impl Histogram {
    /// Reads what stands between `{{` and `}}`.
    ///
    /// # Errors
    /// A sentence on what is no part of a histogram, or of what does not belong together.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut written = Written::default();
        let mut seen = Vec::new();
        let mut rest = text.trim();
        while !rest.is_empty() {
            let (key, after) = rest.split_once(':').ok_or_else(|| format!("\"{rest}\" has no ':'; write key:value"))?;
            let key = key.trim();
            if seen.contains(&key) {
                return Err(format!("\"{key}\" stands here twice"));
            }
            seen.push(key);
            let after = after.trim_start();
            let end = match after.strip_prefix('[') {
                Some(list) => list.find(']').ok_or_else(|| format!("the list of \"{key}\" is not closed by ']'"))? + 2,
                None => after.find(char::is_whitespace).unwrap_or(after.len()),
            };
            written.set(key, &after[..end])?;
            rest = after[end..].trim_start();
        }
        written.finished()
    }

    /// As [`Histogram::parse`] reads it, in braces; nothing that is as by default.
    pub fn notation(&self) -> String {
        let mut parts = Vec::new();
        let mut number = |key: &str, value: f64| {
            if value != 0.0 {
                parts.push(format!("{key}:{}", shortest(value)));
            }
        };
        number("schema", f64::from(self.schema));
        number("count", self.count);
        number("sum", self.sum);
        number("z_bucket", self.zero_count);
        number("z_bucket_w", self.zero_threshold);
        if !self.bounds.is_empty() {
            parts.push(format!("custom_values:[{}]", list(self.bounds.iter().copied())));
        }
        let hint = HINTS.iter().find(|(_, hint)| *hint == self.hint).map(|(word, _)| *word);
        parts.extend(hint.filter(|hint| *hint != "unknown").map(|hint| format!("counter_reset_hint:{hint}")));
        for (prefix, buckets) in [("", &self.positive), ("n_", &self.negative)] {
            let (Some(first), Some(last)) = (buckets.first(), buckets.last()) else { continue };
            if first.index != 0 {
                parts.push(format!("{prefix}offset:{}", first.index));
            }
            let wide = last.index.abs_diff(first.index) as usize >= BUCKETS_MAX;
            let counts = (first.index..=last.index).take(if wide { BUCKETS_MAX } else { usize::MAX }).map(|index| {
                let found = buckets.binary_search_by_key(&index, |bucket| bucket.index);
                found.map_or(0.0, |place| buckets[place].count)
            });
            parts.push(format!("{prefix}buckets:[{}]", list(counts)));
        }
        format!("{{{{{}}}}}", parts.join(" "))
    }
}

fn list(values: impl Iterator<Item = f64>) -> String {
    values.map(shortest).collect::<Vec<_>>().join(" ")
}

impl Written {
    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let histogram = &mut self.histogram;
        match key {
            "schema" => histogram.schema = whole(key, value)?,
            "sum" => histogram.sum = number(key, value)?,
            "count" => histogram.count = number(key, value)?,
            "z_bucket" => histogram.zero_count = number(key, value)?,
            "z_bucket_w" => histogram.zero_threshold = number(key, value)?,
            "buckets" => self.positive = numbers(key, value)?,
            "offset" => self.offset = whole(key, value)?,
            "n_buckets" => self.negative = numbers(key, value)?,
            "n_offset" => self.negative_offset = whole(key, value)?,
            "custom_values" => histogram.bounds = numbers(key, value)?,
            "counter_reset_hint" => {
                let hint = HINTS.iter().find(|(word, _)| *word == value).map(|(_, hint)| *hint);
                let known = HINTS.map(|(word, _)| word).join(", ");
                histogram.hint = hint.ok_or_else(|| format!("\"{value}\" is no hint; there are {known}"))?;
            }
            _ => {
                let near = near(key, KEYS).map(|near| format!("; did you mean \"{near}\"?")).unwrap_or_default();
                return Err(format!("a histogram has no \"{key}\"{near}"));
            }
        }
        Ok(())
    }

    fn finished(self) -> Result<Histogram, String> {
        let Self { mut histogram, offset, negative_offset, positive, negative } = self;
        if positive.len() + negative.len() + histogram.bounds.len() > BUCKETS_MAX {
            return Err(format!("a histogram has at most {BUCKETS_MAX} buckets"));
        }
        histogram.positive = placed(offset, &positive)?;
        histogram.negative = placed(negative_offset, &negative)?;
        histogram.check()?;
        Ok(histogram)
    }
}

impl Histogram {
    /// What may not stand together, whoever wrote it.
    ///
    /// # Errors
    /// A sentence on the first such thing.
    pub fn check(&self) -> Result<(), String> {
        if !self.is_custom() && !SCHEMAS.contains(&self.schema) {
            return Err(format!("schema {} is none; there are -4 to 8, and {CUSTOM} for custom_values", self.schema));
        }
        if !(self.zero_threshold >= 0.0 && self.zero_threshold.is_finite()) {
            return Err(format!("the zero bucket is {} wide; that is no width", self.zero_threshold));
        }
        if !self.is_custom() {
            let stray = !self.bounds.is_empty();
            return if stray { Err(format!("custom_values belong to schema {CUSTOM} alone")) } else { Ok(()) };
        }
        if !self.negative.is_empty() || self.zero_count != 0.0 {
            return Err(format!("schema {CUSTOM} has neither a zero bucket nor negative ones"));
        }
        if !self.bounds.is_sorted_by(|one, next| one < next) || self.bounds.iter().any(|bound| !bound.is_finite()) {
            return Err("custom_values rise, and none is infinite or NaN".to_owned());
        }
        let outside = self
            .positive
            .iter()
            .find(|bucket| usize::try_from(bucket.index).map_or(true, |index| index > self.bounds.len()));
        match outside {
            Some(bucket) => Err(format!(
                "bucket {} has no bound: {} custom_values make {} buckets",
                bucket.index,
                self.bounds.len(),
                self.bounds.len() + 1
            )),
            None => Ok(()),
        }
    }
}

fn placed(offset: i32, counts: &[f64]) -> Result<Vec<Bucket>, String> {
    let places = counts.iter().enumerate().filter(|(_, count)| **count != 0.0);
    let buckets = places.map(|(place, count)| {
        let index = i32::try_from(place).ok().and_then(|place| offset.checked_add(place))?;
        Some(Bucket { index, count: *count })
    });
    buckets.collect::<Option<_>>().ok_or_else(|| format!("offset {offset} is too far out"))
}

fn number(key: &str, value: &str) -> Result<f64, String> {
    value.parse().map_err(|_| format!("\"{value}\" of \"{key}\" is no number"))
}

fn whole(key: &str, value: &str) -> Result<i32, String> {
    value.parse().map_err(|_| format!("\"{value}\" of \"{key}\" is no whole number"))
}

fn numbers(key: &str, value: &str) -> Result<Vec<f64>, String> {
    let inner = value.strip_prefix('[').and_then(|value| value.strip_suffix(']'));
    let inner = inner.ok_or_else(|| format!("\"{key}\" is a list: write {key}:[1 2 3]"))?;
    inner.split_whitespace().map(|value| number(key, value)).collect()
}
