//! Remote write, 1.0 and 2.0: what a request holds, as series with points.
//!
//! This is the way of every sample that others write. A request is read in one pass over its bytes, and what it says lies in
//! a few lists that all series share: labels are texts of the request itself, and nothing is made for a single series.
//!
//! The messages are those of <https://prometheus.io/docs/specs/prw/remote_write_spec/> and
//! <https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/>, as far as they are read: floats and metadata.

use std::collections::BTreeMap;

use watchkeep_protocol::layout::{Metric, MetricKind};
use watchkeep_rules::promql::labels::{Labels, NAME};
use watchkeep_rules::promql::series::Point;

use super::fields::{Field, Fields};

/// Bytes of a request at most, once unpacked.
pub const UNPACKED_MAX: usize = 64 << 20;
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

/// What somebody wrote, as it lies in their message.
#[derive(Debug, Default, PartialEq)]
pub struct Request<'a> {
    /// Labels of all series, one series after the other.
    pairs: Vec<Pair<'a>>,
    points: Vec<Point>,
    /// Where each series ends in `pairs` and in `points`.
    ends: Vec<(usize, usize)>,
    /// By metric family.
    pub metadata: BTreeMap<String, Metadata>,
    /// Sentences about what makes no sense in it; the rest is taken all the same.
    pub faults: Vec<String>,
    /// Native histograms, which are not kept.
    pub histograms: usize,
}

/// A label's name and value.
pub type Pair<'a> = (&'a str, &'a str);

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

/// Unpacks a body.
///
/// # Errors
/// It is no snappy block, or a large one; the sentence says what was found.
pub fn unpack(packed: &[u8]) -> Result<Vec<u8>, String> {
    let length = snap::raw::decompress_len(packed).map_err(|error| format!("the body is no snappy block: {error}"))?;
    if length > UNPACKED_MAX {
        return Err(format!("the body unpacks to {length} bytes, at most {UNPACKED_MAX} are taken"));
    }
    let bytes = snap::raw::Decoder::new().decompress_vec(packed);
    bytes.map_err(|error| format!("the body is no snappy block: {error}"))
}

/// Reads what was unpacked. Whether labels make sense is only looked at where [`labels`] makes a series of them.
///
/// # Errors
/// It is no such message; the sentence says what was found.
pub fn read(kind: Kind, bytes: &[u8]) -> Result<Request<'_>, String> {
    let mut request = Request::default();
    let read = match kind {
        Kind::RemoteWrite1 => request.first(bytes),
        Kind::RemoteWrite2 => request.second(bytes),
    };
    read.map_err(|wrong| format!("the body is no {kind:?}: {wrong}"))?;
    Ok(request)
}

impl<'a> Request<'a> {
    /// Each series' labels, as they were written, with its points.
    pub fn series(&self) -> impl Iterator<Item = (&[Pair<'a>], &[Point])> {
        let begins = std::iter::once(&(0, 0)).chain(&self.ends);
        begins.zip(&self.ends).map(|(begin, end)| (&self.pairs[begin.0..end.0], &self.points[begin.1..end.1]))
    }

    /// `prometheus.WriteRequest`
    fn first(&mut self, bytes: &'a [u8]) -> Result<(), String> {
        for field in Fields::of(bytes) {
            match field? {
                (1, series) => self.series_of_first(series.bytes()?)?,
                (3, metadata) => self.metadata_of_first(metadata.bytes()?)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn series_of_first(&mut self, bytes: &'a [u8]) -> Result<(), String> {
        for field in Fields::of(bytes) {
            match field? {
                (1, label) => {
                    let mut pair = ("", "");
                    for field in Fields::of(label.bytes()?) {
                        match field? {
                            (1, name) => pair.0 = name.text()?,
                            (2, value) => pair.1 = value.text()?,
                            _ => {}
                        }
                    }
                    self.pairs.push(pair);
                }
                (2, sample) => self.points.push(point(sample)?),
                (4, _) => self.histograms += 1,
                _ => {}
            }
        }
        self.ends.push((self.pairs.len(), self.points.len()));
        Ok(())
    }

    fn metadata_of_first(&mut self, bytes: &'a [u8]) -> Result<(), String> {
        let (mut kind, mut family, mut help, mut unit) = (0, "", "", "");
        for field in Fields::of(bytes) {
            match field? {
                (1, number) => kind = number.number()?,
                (2, text) => family = text.text()?,
                (4, text) => help = text.text()?,
                (5, text) => unit = text.text()?,
                _ => {}
            }
        }
        self.tell(family, kind, help, unit);
        Ok(())
    }

    /// `io.prometheus.write.v2.Request`
    fn second(&mut self, bytes: &'a [u8]) -> Result<(), String> {
        // Series name their texts by place; nothing says that the texts come first.
        let (mut symbols, mut all) = (Vec::new(), Vec::new());
        for field in Fields::of(bytes) {
            match field? {
                (4, symbol) => symbols.push(symbol.text()?),
                (5, series) => all.push(series.bytes()?),
                _ => {}
            }
        }
        all.into_iter().try_for_each(|series| self.series_of_second(series, &symbols))
    }

    fn series_of_second(&mut self, bytes: &'a [u8], symbols: &[&'a str]) -> Result<(), String> {
        let symbol = |place: u64| usize::try_from(place).ok().and_then(|place| symbols.get(place)).copied();
        let (mut places, mut metadata) = (Vec::new(), None);
        let (pairs, points) = (self.pairs.len(), self.points.len());
        for field in Fields::of(bytes) {
            match field? {
                (1, labels) => labels.numbers(&mut places)?,
                (2, sample) => self.points.push(point(sample)?),
                (3, _) => self.histograms += 1,
                (5, of) => metadata = Some(of.bytes()?),
                _ => {}
            }
        }
        for pair in places.chunks(2) {
            let texts = symbol(pair[0]).zip(pair.get(1).and_then(|place| symbol(*place)));
            let Some(texts) = texts else {
                self.pairs.truncate(pairs);
                self.points.truncate(points);
                self.faults.push("a series' label is no place among the request's symbols".to_owned());
                return Ok(());
            };
            self.pairs.push(texts);
        }
        self.ends.push((self.pairs.len(), self.points.len()));
        let family = self.pairs[pairs..].iter().find(|(name, _)| *name == NAME).map(|(_, family)| *family);
        let (Some(family), Some(metadata)) = (family, metadata) else { return Ok(()) };
        let (mut kind, mut help, mut unit) = (0, 0, 0);
        for field in Fields::of(metadata) {
            match field? {
                (1, number) => kind = number.number()?,
                (3, place) => help = place.number()?,
                (4, place) => unit = place.number()?,
                _ => {}
            }
        }
        if (kind, help, unit) != (0, 0, 0) {
            self.tell(family, kind, symbol(help).unwrap_or_default(), symbol(unit).unwrap_or_default());
        }
        Ok(())
    }

    fn tell(&mut self, family: &str, kind: u64, help: &str, unit: &str) {
        let of = Metadata { kind: word(kind), help: help.to_owned(), unit: unit.to_owned() };
        self.metadata.insert(family.to_owned(), of);
    }
}

/// A sample, alike in both versions.
fn point(sample: Field<'_>) -> Result<Point, String> {
    let mut point = Point { at: 0, value: 0.0 };
    for field in Fields::of(sample.bytes()?) {
        match field? {
            (1, value) => point.value = value.double()?,
            (2, timestamp) => point.at = timestamp.number()? as i64,
            _ => {}
        }
    }
    Ok(point)
}

/// The labels of a series that is not known yet, where they make sense.
///
/// # Errors
/// A sentence about what does not.
pub fn labels(pairs: &[Pair<'_>]) -> Result<Labels, String> {
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
    let mut names: Vec<&str> = pairs.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(format!("the label \"{}\" comes twice in one series", twice[0]));
    }
    if names.first().is_some_and(|name| name.is_empty()) {
        return Err("a label has no name".to_owned());
    }
    let labels = Labels::new(pairs.iter().copied());
    match labels.get(NAME) {
        Some(_) => Ok(labels),
        None => Err(format!("the series {labels} has no metric name (label \"{NAME}\")")),
    }
}

/// Metric types by number, alike in both versions.
fn word(kind: u64) -> &'static str {
    const WORDS: [&str; 8] =
        ["unknown", "counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset"];
    usize::try_from(kind).ok().and_then(|kind| WORDS.get(kind)).copied().unwrap_or(WORDS[0])
}

#[cfg(test)]
pub mod tests {
    //! What travels is written here by another hand than reads it: by messages that the compiler makes of their fields.

    use prost::Message;

    use super::super::write_request::{Label, MetricMetadata, MetricType, Sample, TimeSeries, WriteRequest};
    use super::*;

    /// Something that is counted and passed over.
    #[derive(Clone, PartialEq, Eq, Message)]
    struct Passed {}

    /// A `TimeSeries` with what we never write.
    #[derive(Clone, PartialEq, Message)]
    struct WithHistograms {
        #[prost(message, repeated, tag = "1")]
        labels: Vec<Label>,
        #[prost(message, repeated, tag = "2")]
        samples: Vec<Sample>,
        #[prost(message, repeated, tag = "4")]
        histograms: Vec<Passed>,
    }

    /// A `WriteRequest` of such.
    #[derive(Clone, PartialEq, Message)]
    struct RequestWithHistograms {
        #[prost(message, repeated, tag = "1")]
        timeseries: Vec<WithHistograms>,
        #[prost(message, repeated, tag = "3")]
        metadata: Vec<MetricMetadata>,
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

    /// A request of one series without labels, as it travels.
    pub fn body(metric: &str, points: &[(i64, f64)]) -> Vec<u8> {
        let samples = points.iter().map(|(timestamp, value)| Sample { value: *value, timestamp: *timestamp }).collect();
        let series = TimeSeries { labels: vec![label("__name__", metric)], samples };
        packed(&WriteRequest { timeseries: vec![series], metadata: Vec::new() })
    }

    /// Messages with some of everything.
    pub fn first() -> Vec<u8> {
        let metadata =
            MetricMetadata { kind: 1, family: "up".to_owned(), help: "Is it?".to_owned(), unit: String::new() };
        WriteRequest { metadata: vec![metadata], ..of(&[("__name__", "up"), ("job", "db")]) }.encode_to_vec()
    }

    pub fn second() -> Vec<u8> {
        let metadata = Some(Metadata2 { kind: 1, help: 2, unit: 0 });
        let samples = vec![Sample { value: 1.5, timestamp: 1_000 }];
        let series = TimeSeries2 { labels: vec![1, 2, 3, 4], samples, histograms: vec![Passed {}], metadata };
        let symbols = ["", "__name__", "up", "job", "db"].map(str::to_owned).to_vec();
        Request2 { symbols, timeseries: vec![series] }.encode_to_vec()
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
        WriteRequest { timeseries: vec![TimeSeries { labels, samples }], metadata: Vec::new() }
    }

    #[test]
    fn both_versions_say_the_same() {
        let one = of(&[("__name__", "up"), ("job", "db")]).encode_to_vec();
        let one = read(Kind::RemoteWrite1, &one).expect("it reads");
        let two = Request2 {
            symbols: ["", "__name__", "up", "job", "db"].map(str::to_owned).to_vec(),
            timeseries: vec![TimeSeries2 {
                labels: vec![1, 2, 3, 4],
                samples: vec![Sample { value: 1.5, timestamp: 1_000 }],
                histograms: Vec::new(),
                metadata: None,
            }],
        };
        assert_eq!(read(Kind::RemoteWrite2, &two.encode_to_vec()), Ok(one));
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
            let bytes = request.encode_to_vec();
            let request = read(Kind::RemoteWrite1, &bytes).expect("it reads");
            let made: Vec<_> = request.series().map(|(pairs, points)| (labels(pairs), points.len())).collect();
            assert!(made[0].0.as_ref().is_err_and(|said| said.contains(says)), "{made:?}");
            assert_eq!(made[1], (Ok(Labels::new([("__name__", "good")])), 1));
        }
    }

    #[test]
    fn several_series_keep_apart_and_tell_of_their_metrics() {
        let series = |name: &str, values: &[f64]| WithHistograms {
            labels: vec![label("__name__", name), label("job", "db")],
            samples: values.iter().map(|value| Sample { value: *value, timestamp: -5 }).collect(),
            histograms: vec![Passed {}],
        };
        let of = MetricMetadata {
            kind: MetricType::Counter as i32,
            family: "b".to_owned(),
            help: "Bees.".to_owned(),
            unit: "s".to_owned(),
        };
        let all = vec![series("a", &[1.0, 2.0]), series("none", &[]), series("b", &[3.0])];
        let bytes = RequestWithHistograms { timeseries: all, metadata: vec![of] }.encode_to_vec();
        let request = read(Kind::RemoteWrite1, &bytes).expect("it reads");
        let read: Vec<_> = request.series().map(|(pairs, points)| (pairs[0].1, points.to_vec())).collect();
        let point = |value| Point { at: -5, value };
        assert_eq!(read, [("a", vec![point(1.0), point(2.0)]), ("none", Vec::new()), ("b", vec![point(3.0)])]);
        assert_eq!(request.histograms, 3);
        let metadata = Metadata { kind: "counter", help: "Bees.".to_owned(), unit: "s".to_owned() };
        assert_eq!(request.metadata, BTreeMap::from([("b".to_owned(), metadata)]));
    }

    #[test]
    fn what_is_no_message_is_refused_before_it_is_large() {
        let refusal = |bytes: &[u8]| unpack(bytes).expect_err("no block");
        assert!(refusal(b"hello").contains("snappy"));
        // A head that says four gigabytes, and nothing behind it.
        assert!(refusal(&[0xff, 0xff, 0xff, 0xff, 0x0f]).contains("at most"));
        let garbage = read(Kind::RemoteWrite1, &[0x0a, 0xff, 0x01]).expect_err("no message");
        assert!(garbage.contains("no RemoteWrite1: field 1 has 255 bytes, 0 are there"), "{garbage}");
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
