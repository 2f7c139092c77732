//! Samples to requests: `prometheus.WriteRequest` of remote write 1.0, written straight into bytes, packed by snappy.
//!
//! A series' samples come one after the other, each under its labels: a request is of one moment, and snappy makes little of
//! what repeats. Late samples go into requests of their own: a store that has no room for them in its time refuses them alone.

use std::collections::BTreeMap;

use prost::encoding::{encode_varint, encoded_len_varint};
use snap::raw::Encoder;

use super::queue::Request;
use crate::samples::Pairs;

/// Keys of fields: number and wire type.
const SERIES: u8 = 1 << 3 | 2;
const LABELS: u8 = 1 << 3 | 2;
const SAMPLES: u8 = 2 << 3 | 2;
const NAME: u8 = 1 << 3 | 2;
const VALUE: u8 = 2 << 3 | 2;
const SAMPLE_VALUE: u8 = 1 << 3 | 1;
const SAMPLE_AT: u8 = 2 << 3;

/// Requests that are being filled.
#[derive(Debug)]
pub struct Requests<'a> {
    samples_max: u32,
    /// Labels of the installation, for series that have none of that name.
    external: &'a BTreeMap<String, String>,
    newest: Filling,
    late: Filling,
    full: Vec<Request>,
}

#[derive(Debug, Default)]
struct Filling {
    samples: u32,
    newest: i64,
    bytes: Vec<u8>,
}

impl<'a> Requests<'a> {
    /// Of so many samples each at most.
    pub fn new(samples_max: u32, external: &'a BTreeMap<String, String>) -> Self {
        Self { samples_max, external, newest: Filling::default(), late: Filling::default(), full: Vec::new() }
    }

    /// Adds a sample; `pairs` are by name.
    pub fn push(&mut self, pairs: &Pairs<'_>, at: i64, value: f64, is_late: bool) {
        let filling = if is_late { &mut self.late } else { &mut self.newest };
        series(&mut filling.bytes, &merged(pairs, self.external), at, value);
        filling.newest = if filling.samples == 0 { at } else { filling.newest.max(at) };
        filling.samples += 1;
        if filling.samples >= self.samples_max {
            self.full.push(std::mem::take(filling).packed());
        }
    }

    /// All of them. Late ones come last.
    pub fn end(self) -> Vec<Request> {
        let Self { newest, late, mut full, .. } = self;
        full.extend([newest, late].into_iter().filter(|filling| filling.samples > 0).map(Filling::packed));
        full
    }
}

impl Filling {
    fn packed(self) -> Request {
        let body = Encoder::new().compress_vec(&self.bytes).expect("a request is shorter than 4 GB");
        Request { samples: self.samples, newest: self.newest, body }
    }
}

/// The series' labels and those others that it has none of, by name.
fn merged<'a>(pairs: &Pairs<'a>, external: &'a BTreeMap<String, String>) -> Vec<(&'a str, &'a str)> {
    let mut all = pairs.to_vec();
    let others = external.iter().filter(|(name, value)| !value.is_empty() && !has(pairs, name));
    let before = all.len();
    all.extend(others.map(|(name, value)| (name.as_str(), value.as_str())));
    if all.len() > before {
        all.sort_unstable_by_key(|(name, _)| *name);
    }
    all
}

fn has(pairs: &Pairs<'_>, name: &str) -> bool {
    pairs.iter().any(|(known, _)| *known == name)
}

/// A `TimeSeries` with one sample, as a field of the request.
fn series(bytes: &mut Vec<u8>, pairs: &Pairs<'_>, at: i64, value: f64) {
    let label = |(name, value): &(&str, &str)| field_length(name.len()) + field_length(value.len());
    let labels: usize = pairs.iter().map(|pair| field_length(label(pair))).sum();
    let sample = 9 + 1 + encoded_len_varint(at as u64);
    head(bytes, SERIES, labels + field_length(sample));
    for pair in pairs {
        head(bytes, LABELS, label(pair));
        text(bytes, NAME, pair.0);
        text(bytes, VALUE, pair.1);
    }
    head(bytes, SAMPLES, sample);
    bytes.push(SAMPLE_VALUE);
    bytes.extend_from_slice(&value.to_le_bytes());
    bytes.push(SAMPLE_AT);
    encode_varint(at as u64, bytes);
}

/// Bytes of a field of so many, with key and length.
fn field_length(length: usize) -> usize {
    1 + encoded_len_varint(length as u64) + length
}

fn head(bytes: &mut Vec<u8>, key: u8, length: usize) {
    bytes.push(key);
    encode_varint(length as u64, bytes);
}

fn text(bytes: &mut Vec<u8>, key: u8, text: &str) {
    head(bytes, key, text.len());
    bytes.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::samples::foreign::write_request::{Label, Sample, TimeSeries, WriteRequest};

    fn read(request: &Request) -> WriteRequest {
        let bytes = snap::raw::Decoder::new().decompress_vec(&request.body).expect("snappy");
        WriteRequest::decode(bytes.as_slice()).expect("protobuf")
    }

    fn of(pairs: &[(&str, &str)], timestamp: i64, value: f64) -> TimeSeries {
        let label = |(name, value): &(&str, &str)| Label { name: (*name).to_owned(), value: (*value).to_owned() };
        TimeSeries { labels: pairs.iter().map(label).collect(), samples: vec![Sample { value, timestamp }] }
    }

    #[test]
    fn a_request_reads_as_what_it_was_made_of() {
        let external = [("site", "fra1"), ("job", "other"), ("tier", "")];
        let external = external.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let mut requests = Requests::new(10, &external);
        let long = "x".repeat(300);
        requests.push(&[("__name__", "up"), ("job", "node")], 1_700_000_000_123, 1.5, false);
        requests.push(&[("__name__", "up"), ("path", &long), ("zone", "b")], -1, f64::NEG_INFINITY, false);
        let found = requests.end();
        let expected = [
            of(&[("__name__", "up"), ("job", "node"), ("site", "fra1")], 1_700_000_000_123, 1.5),
            of(
                &[("__name__", "up"), ("job", "other"), ("path", &long), ("site", "fra1"), ("zone", "b")],
                -1,
                f64::NEG_INFINITY,
            ),
        ];
        assert_eq!((found.len(), found[0].samples, found[0].newest), (1, 2, 1_700_000_000_123));
        assert_eq!(read(&found[0]).timeseries, expected);
    }

    #[test]
    fn requests_have_their_size_and_what_is_late_goes_apart() {
        let external = BTreeMap::new();
        let mut requests = Requests::new(2, &external);
        for at in 1..=5 {
            requests.push(&[("__name__", "a")], at, 0.0, false);
        }
        requests.push(&[("__name__", "late")], -7, 0.0, true);
        let found = requests.end();
        let shown: Vec<(u32, i64)> = found.iter().map(|request| (request.samples, request.newest)).collect();
        assert_eq!(shown, [(2, 2), (2, 4), (1, 5), (1, -7)]);
        assert_eq!(read(&found[3]).timeseries, [of(&[("__name__", "late")], -7, 0.0)]);
    }
}
