//! Remote write, 1.0 and 2.0: what a request holds, as series with points.
//!
//! The messages are those of <https://prometheus.io/docs/specs/prw/remote_write_spec/> and
//! <https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/>, as far as they are read: floats and metadata.

use std::collections::BTreeMap;

use prost::Message;
use watchkeep_protocol::layout::{Metric, MetricKind};
use watchkeep_rules::promql::labels::{Labels, NAME};
use watchkeep_rules::promql::series::Point;

/// Bytes of a request at most, once unpacked.
const UNPACKED_MAX: usize = 64 << 20;
/// Labels of a series, bytes of a name and of a value at most.
const LABELS_MAX: usize = 128;
const NAME_MAX: usize = 1_024;
const VALUE_MAX: usize = 16_384;

/// Which message a body is, by the content type's `proto`; numbers are those of the log's records and stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    RemoteWrite1 = 1,
    RemoteWrite2 = 2,
}

impl Kind {
    pub fn of_number(number: u8) -> Option<Self> {
        [Self::RemoteWrite1, Self::RemoteWrite2].into_iter().find(|kind| *kind as u8 == number)
    }

    /// `None`: a message that is not known here.
    pub fn of_content_type(text: &str) -> Option<Self> {
        let (kind, parameters) = text.split_once(';').unwrap_or((text, ""));
        if !kind.trim().eq_ignore_ascii_case("application/x-protobuf") {
            return None;
        }
        let proto = parameters.split(';').find_map(|parameter| parameter.trim().strip_prefix("proto="));
        match proto.unwrap_or("prometheus.WriteRequest").trim_matches('"') {
            "prometheus.WriteRequest" => Some(Self::RemoteWrite1),
            "io.prometheus.write.v2.Request" => Some(Self::RemoteWrite2),
            _ => None,
        }
    }
}

/// What somebody wrote.
#[derive(Debug, Default, PartialEq)]
pub struct Request {
    pub series: Vec<(Labels, Vec<Point>)>,
    /// By metric family.
    pub metadata: BTreeMap<String, Metadata>,
    /// Sentences about series that make no sense; the rest is taken all the same.
    pub faults: Vec<String>,
    /// Native histograms, which are not kept.
    pub histograms: usize,
}

/// What is known of a metric.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// `counter`, `gauge` …; `unknown`.
    pub kind: &'static str,
    pub help: String,
    pub unit: String,
}

impl Metadata {
    /// What an agent says of a metric.
    pub fn of(metric: &Metric) -> Self {
        let kind = match metric.kind() {
            MetricKind::Untyped => "unknown",
            MetricKind::Gauge => "gauge",
            MetricKind::Counter => "counter",
        };
        Self { kind, help: metric.help.clone(), unit: String::new() }
    }
}

/// Unpacks and reads a body.
///
/// # Errors
/// It is no such message; the sentence says what was found.
pub fn read(kind: Kind, packed: &[u8]) -> Result<Request, String> {
    let length = snap::raw::decompress_len(packed).map_err(|error| format!("the body is no snappy block: {error}"))?;
    if length > UNPACKED_MAX {
        return Err(format!("the body unpacks to {length} bytes, at most {UNPACKED_MAX} are taken"));
    }
    let bytes = snap::raw::Decoder::new().decompress_vec(packed);
    let bytes = bytes.map_err(|error| format!("the body is no snappy block: {error}"))?;
    let wrong = |error: prost::DecodeError| format!("the body is no {kind:?}: {error}");
    match kind {
        Kind::RemoteWrite1 => Ok(WriteRequest::decode(bytes.as_slice()).map_err(wrong)?.into_request()),
        Kind::RemoteWrite2 => Ok(Request2::decode(bytes.as_slice()).map_err(wrong)?.into_request()),
    }
}

impl Request {
    fn series(&mut self, pairs: Vec<(String, String)>, samples: &[Sample], histograms: usize) {
        self.histograms += histograms;
        match labels(pairs) {
            Ok(labels) => {
                let points = samples.iter().map(|sample| Point { at: sample.timestamp, value: sample.value });
                self.series.push((labels, points.collect()));
            }
            Err(fault) => self.faults.push(fault),
        }
    }

    fn metadata(&mut self, family: String, kind: i32, help: String, unit: String) {
        self.metadata.insert(family, Metadata { kind: word(kind), help, unit });
    }
}

/// The labels, where they make sense.
fn labels(pairs: Vec<(String, String)>) -> Result<Labels, String> {
    let count = pairs.len();
    if count > LABELS_MAX {
        return Err(format!("a series has {count} labels, at most {LABELS_MAX} are taken"));
    }
    let long = pairs.iter().find(|(name, value)| name.len() > NAME_MAX || value.len() > VALUE_MAX);
    if let Some((name, value)) = long {
        let (name_bytes, value_bytes) = (name.len(), value.len());
        let name: String = name.chars().take(60).collect();
        return Err(format!(
            "the label \"{name}\" has a name of {name_bytes} and a value of {value_bytes} bytes, at most {NAME_MAX} and \
             {VALUE_MAX} are taken"
        ));
    }
    let mut names: Vec<&str> = pairs.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(format!("the label \"{}\" comes twice in one series", twice[0]));
    }
    if names.first().is_some_and(|name| name.is_empty()) {
        return Err("a label has no name".to_owned());
    }
    let labels = Labels::new(pairs);
    match labels.get(NAME) {
        Some(_) => Ok(labels),
        None => Err(format!("the series {labels} has no metric name (label \"{NAME}\")")),
    }
}

/// Metric types by number, alike in both versions.
fn word(kind: i32) -> &'static str {
    const WORDS: [&str; 8] =
        ["unknown", "counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset"];
    usize::try_from(kind).ok().and_then(|kind| WORDS.get(kind)).copied().unwrap_or(WORDS[0])
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(double, tag = "1")]
    value: f64,
    /// Milliseconds since 1970.
    #[prost(int64, tag = "2")]
    timestamp: i64,
}

/// Something that is counted and passed over.
#[derive(Clone, PartialEq, Eq, Message)]
struct Passed {}

#[derive(Clone, PartialEq, Message)]
struct WriteRequest {
    #[prost(message, repeated, tag = "1")]
    timeseries: Vec<TimeSeries>,
    #[prost(message, repeated, tag = "3")]
    metadata: Vec<MetricMetadata>,
}

#[derive(Clone, PartialEq, Message)]
struct TimeSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<Label>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
    #[prost(message, repeated, tag = "4")]
    histograms: Vec<Passed>,
}

#[derive(Clone, PartialEq, Eq, Message)]
struct Label {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Eq, Message)]
struct MetricMetadata {
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(string, tag = "2")]
    family: String,
    #[prost(string, tag = "4")]
    help: String,
    #[prost(string, tag = "5")]
    unit: String,
}

impl WriteRequest {
    fn into_request(self) -> Request {
        let mut request = Request::default();
        for series in self.timeseries {
            let pairs = series.labels.into_iter().map(|label| (label.name, label.value)).collect();
            request.series(pairs, &series.samples, series.histograms.len());
        }
        for of in self.metadata {
            request.metadata(of.family, of.kind, of.help, of.unit);
        }
        request
    }
}

#[derive(Clone, PartialEq, Message)]
struct Request2 {
    #[prost(string, repeated, tag = "4")]
    symbols: Vec<String>,
    #[prost(message, repeated, tag = "5")]
    timeseries: Vec<TimeSeries2>,
}

#[derive(Clone, PartialEq, Message)]
struct TimeSeries2 {
    /// Names and values by turns, as places among the symbols.
    #[prost(uint32, repeated, tag = "1")]
    labels: Vec<u32>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<Sample>,
    #[prost(message, repeated, tag = "3")]
    histograms: Vec<Passed>,
    #[prost(message, optional, tag = "5")]
    metadata: Option<Metadata2>,
}

#[derive(Clone, PartialEq, Eq, Message)]
struct Metadata2 {
    #[prost(int32, tag = "1")]
    kind: i32,
    #[prost(uint32, tag = "3")]
    help: u32,
    #[prost(uint32, tag = "4")]
    unit: u32,
}

impl Request2 {
    fn into_request(self) -> Request {
        let mut request = Request::default();
        let symbol = |place: u32| self.symbols.get(place as usize).cloned();
        for series in &self.timeseries {
            let pairs = series.labels.chunks(2).map(|pair| Some((symbol(pair[0])?, symbol(*pair.get(1)?)?)));
            let Some(pairs) = pairs.collect::<Option<Vec<_>>>() else {
                request.faults.push("a series' label is no place among the request's symbols".to_owned());
                continue;
            };
            let family = pairs.iter().find(|(name, _)| name == NAME).map(|(_, family)| family.clone());
            request.series(pairs, &series.samples, series.histograms.len());
            if let (Some(family), Some(of)) = (family, &series.metadata)
                && (of.kind, of.help, of.unit) != (0, 0, 0)
            {
                let text = |place| symbol(place).unwrap_or_default();
                request.metadata(family, of.kind, text(of.help), text(of.unit));
            }
        }
        request
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A request of one series without labels, as it travels.
    pub fn body(metric: &str, points: &[(i64, f64)]) -> Vec<u8> {
        let samples = points.iter().map(|(timestamp, value)| Sample { value: *value, timestamp: *timestamp }).collect();
        let series = TimeSeries { labels: vec![label("__name__", metric)], samples, histograms: Vec::new() };
        packed(&WriteRequest { timeseries: vec![series], metadata: Vec::new() })
    }

    fn packed(message: &impl Message) -> Vec<u8> {
        snap::raw::Encoder::new().compress_vec(&message.encode_to_vec()).expect("it is small")
    }

    fn label(name: &str, value: &str) -> Label {
        Label { name: name.to_owned(), value: value.to_owned() }
    }

    fn of(pairs: &[(&str, &str)]) -> WriteRequest {
        let labels = pairs.iter().map(|(name, value)| label(name, value)).collect();
        let samples = vec![Sample { value: 1.5, timestamp: 1_000 }];
        WriteRequest { timeseries: vec![TimeSeries { labels, samples, histograms: Vec::new() }], metadata: Vec::new() }
    }

    #[test]
    fn both_versions_say_the_same() {
        let one = read(Kind::RemoteWrite1, &packed(&of(&[("__name__", "up"), ("job", "db")]))).expect("it reads");
        let two = Request2 {
            symbols: ["", "__name__", "up", "job", "db"].map(str::to_owned).to_vec(),
            timeseries: vec![TimeSeries2 {
                labels: vec![1, 2, 3, 4],
                samples: vec![Sample { value: 1.5, timestamp: 1_000 }],
                histograms: Vec::new(),
                metadata: None,
            }],
        };
        assert_eq!(read(Kind::RemoteWrite2, &packed(&two)), Ok(one));
    }

    #[test]
    fn a_series_that_makes_no_sense_is_a_sentence_and_the_rest_is_read() {
        for (pairs, says) in [
            (&[("job", "db")][..], "has no metric name"),
            (&[("__name__", "up"), ("", "x")], "a label has no name"),
            (&[("__name__", "up"), ("a", "1"), ("a", "2")], "the label \"a\" comes twice"),
            (&[("__name__", "up"), ("a", &"x".repeat(VALUE_MAX + 1))], "at most 1024 and 16384"),
        ] {
            let mut request = of(pairs);
            request.timeseries.extend(of(&[("__name__", "good")]).timeseries);
            let request = read(Kind::RemoteWrite1, &packed(&request)).expect("it reads");
            assert!(request.faults[0].contains(says), "{:?}", request.faults);
            assert_eq!(request.series.len(), 1);
        }
    }

    #[test]
    fn what_is_no_message_is_refused_before_it_is_large() {
        let refusal = |bytes: &[u8]| read(Kind::RemoteWrite1, bytes).expect_err("no message");
        assert!(refusal(b"hello").contains("snappy"));
        // A head that says four gigabytes, and nothing behind it.
        assert!(refusal(&[0xff, 0xff, 0xff, 0xff, 0x0f]).contains("at most"));
        let garbage = snap::raw::Encoder::new().compress_vec(&[0x0a, 0xff, 0x01]).expect("it is small");
        assert!(refusal(&garbage).contains("no RemoteWrite1"));
    }

    #[test]
    fn a_content_type_names_the_message() {
        for (text, kind) in [
            ("application/x-protobuf", Some(Kind::RemoteWrite1)),
            ("application/x-protobuf;proto=prometheus.WriteRequest", Some(Kind::RemoteWrite1)),
            ("application/x-protobuf; proto=io.prometheus.write.v2.Request", Some(Kind::RemoteWrite2)),
            ("application/x-protobuf;proto=other", None),
            ("application/json", None),
        ] {
            assert_eq!(Kind::of_content_type(text), kind, "{text}");
        }
    }
}
