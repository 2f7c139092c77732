//! The messages of OTLP that metrics travel in, as far as they are read, from protobuf and from JSON: field numbers and types are those of
//! <https://github.com/open-telemetry/opentelemetry-proto/tree/main/opentelemetry/proto>, version 1.

use prost::{Message, Oneof};
use serde::Deserialize;
use serde_json::{Value, json as value};

use super::otlp_json as json;

/// `ExportMetricsServiceRequest`.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Export {
    #[prost(message, repeated, tag = "1")]
    pub resource_metrics: Vec<ResourceMetrics>,
}

/// `ExportMetricsServiceResponse`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Exported {
    #[prost(message, optional, tag = "1")]
    pub partial_success: Option<PartialSuccess>,
}

#[derive(Clone, PartialEq, Eq, Message)]
pub struct PartialSuccess {
    #[prost(int64, tag = "1")]
    pub rejected_data_points: i64,
    #[prost(string, tag = "2")]
    pub error_message: String,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ResourceMetrics {
    #[prost(message, optional, tag = "1")]
    pub resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    pub scope_metrics: Vec<ScopeMetrics>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Resource {
    #[prost(message, repeated, tag = "1")]
    pub attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ScopeMetrics {
    #[prost(message, repeated, tag = "2")]
    pub metrics: Vec<Metric>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Metric {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(string, tag = "2")]
    pub description: String,
    #[prost(string, tag = "3")]
    pub unit: String,
    #[serde(flatten)]
    #[prost(oneof = "Data", tags = "5, 7, 9, 10, 11")]
    pub data: Option<Data>,
}

#[derive(Clone, PartialEq, Oneof, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Data {
    #[prost(message, tag = "5")]
    Gauge(Gauge),
    #[prost(message, tag = "7")]
    Sum(Sum),
    #[prost(message, tag = "9")]
    Histogram(Histogram),
    #[prost(message, tag = "10")]
    ExponentialHistogram(ExponentialHistogram),
    #[prost(message, tag = "11")]
    Summary(Summary),
}

/// `AggregationTemporality`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Aggregation {
    #[cfg(test)]
    Delta = 1,
    Cumulative = 2,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Gauge {
    #[prost(message, repeated, tag = "1")]
    pub data_points: Vec<NumberPoint>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Sum {
    #[prost(message, repeated, tag = "1")]
    pub data_points: Vec<NumberPoint>,
    #[prost(int32, tag = "2")]
    pub aggregation_temporality: i32,
    #[prost(bool, tag = "3")]
    pub is_monotonic: bool,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Histogram {
    #[prost(message, repeated, tag = "1")]
    pub data_points: Vec<HistogramPoint>,
    #[prost(int32, tag = "2")]
    pub aggregation_temporality: i32,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ExponentialHistogram {
    #[prost(message, repeated, tag = "1")]
    pub data_points: Vec<Passed>,
}

/// Something that is counted and passed over.
#[derive(Clone, PartialEq, Eq, Message, Deserialize)]
pub struct Passed {}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Summary {
    #[prost(message, repeated, tag = "1")]
    pub data_points: Vec<SummaryPoint>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NumberPoint {
    #[serde(deserialize_with = "json::u64")]
    #[prost(fixed64, tag = "3")]
    pub time_unix_nano: u64,
    #[serde(flatten)]
    #[prost(oneof = "Number", tags = "4, 6")]
    pub number: Option<Number>,
    #[prost(message, repeated, tag = "7")]
    pub attributes: Vec<KeyValue>,
    #[prost(uint32, tag = "8")]
    pub flags: u32,
}

#[derive(Clone, PartialEq, Oneof, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Number {
    #[prost(double, tag = "4")]
    #[serde(rename = "asDouble", deserialize_with = "json::f64")]
    Double(f64),
    #[prost(sfixed64, tag = "6")]
    #[serde(rename = "asInt", deserialize_with = "json::i64")]
    Int(i64),
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HistogramPoint {
    #[serde(deserialize_with = "json::u64")]
    #[prost(fixed64, tag = "3")]
    pub time_unix_nano: u64,
    #[serde(deserialize_with = "json::u64")]
    #[prost(fixed64, tag = "4")]
    pub count: u64,
    #[serde(deserialize_with = "json::maybe_f64")]
    #[prost(double, optional, tag = "5")]
    pub sum: Option<f64>,
    /// One more than there are bounds.
    #[serde(deserialize_with = "json::u64s")]
    #[prost(fixed64, repeated, tag = "6")]
    pub bucket_counts: Vec<u64>,
    #[serde(deserialize_with = "json::f64s")]
    #[prost(double, repeated, tag = "7")]
    pub explicit_bounds: Vec<f64>,
    #[prost(message, repeated, tag = "9")]
    pub attributes: Vec<KeyValue>,
    #[prost(uint32, tag = "10")]
    pub flags: u32,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SummaryPoint {
    #[serde(deserialize_with = "json::u64")]
    #[prost(fixed64, tag = "3")]
    pub time_unix_nano: u64,
    #[serde(deserialize_with = "json::u64")]
    #[prost(fixed64, tag = "4")]
    pub count: u64,
    #[serde(deserialize_with = "json::f64")]
    #[prost(double, tag = "5")]
    pub sum: f64,
    #[prost(message, repeated, tag = "6")]
    pub quantile_values: Vec<Quantile>,
    #[prost(message, repeated, tag = "7")]
    pub attributes: Vec<KeyValue>,
    #[prost(uint32, tag = "8")]
    pub flags: u32,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Quantile {
    #[serde(deserialize_with = "json::f64")]
    #[prost(double, tag = "1")]
    pub quantile: f64,
    #[serde(deserialize_with = "json::f64")]
    #[prost(double, tag = "2")]
    pub value: f64,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct KeyValue {
    #[prost(string, tag = "1")]
    pub key: String,
    #[prost(message, optional, tag = "2")]
    pub value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct AnyValue {
    #[serde(flatten)]
    #[prost(oneof = "Any", tags = "1, 2, 3, 4, 5, 6, 7")]
    pub any: Option<Any>,
}

#[derive(Clone, PartialEq, Oneof, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Any {
    #[prost(string, tag = "1")]
    #[serde(rename = "stringValue")]
    Text(String),
    #[prost(bool, tag = "2")]
    #[serde(rename = "boolValue")]
    Bool(bool),
    #[prost(int64, tag = "3")]
    #[serde(rename = "intValue", deserialize_with = "json::i64")]
    Int(i64),
    #[prost(double, tag = "4")]
    #[serde(rename = "doubleValue", deserialize_with = "json::f64")]
    Double(f64),
    #[prost(message, tag = "5")]
    #[serde(rename = "arrayValue")]
    List(List),
    #[prost(message, tag = "6")]
    #[serde(rename = "kvlistValue")]
    Map(Map),
    #[prost(bytes, tag = "7")]
    #[serde(rename = "bytesValue", deserialize_with = "json::base64")]
    Bytes(Vec<u8>),
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct List {
    #[prost(message, repeated, tag = "1")]
    pub values: Vec<AnyValue>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Map {
    #[prost(message, repeated, tag = "1")]
    pub values: Vec<KeyValue>,
}

impl NumberPoint {
    /// As a float; nothing is no number.
    pub fn value(&self) -> f64 {
        match self.number {
            Some(Number::Double(value)) => value,
            Some(Number::Int(value)) => value as f64,
            None => f64::NAN,
        }
    }
}

impl AnyValue {
    /// As a text: lists and maps as JSON, nothing as the empty one.
    pub fn text(&self) -> String {
        match self.json() {
            Value::Null => String::new(),
            Value::String(text) => text,
            other => other.to_string(),
        }
    }

    /// As JSON; bytes in base64. How deep it goes, the decoder bounds.
    pub fn json(&self) -> Value {
        use base64::prelude::{BASE64_STANDARD, Engine as _};
        match &self.any {
            None => Value::Null,
            Some(Any::Text(text)) => value!(text),
            Some(Any::Bool(value)) => value!(value),
            Some(Any::Int(value)) => value!(value),
            Some(Any::Double(value)) if value.fract() == 0.0 && value.abs() < 1e15 => value!(*value as i64),
            Some(Any::Double(value)) => value!(value),
            Some(Any::List(list)) => list.values.iter().map(Self::json).collect(),
            Some(Any::Map(map)) => {
                let pair = |pair: &KeyValue| (pair.key.clone(), pair.value.as_ref().map_or(Value::Null, Self::json));
                Value::Object(map.values.iter().map(pair).collect())
            }
            Some(Any::Bytes(bytes)) => value!(BASE64_STANDARD.encode(bytes)),
        }
    }
}

#[cfg(test)]
pub mod tests {
    use serde_json::json;

    use super::*;

    pub const AT_NANO: u64 = 1_795_464_000_000_000_000;

    pub fn attribute(key: &str, value: &str) -> KeyValue {
        KeyValue { key: key.to_owned(), value: Some(AnyValue { any: Some(Any::Text(value.to_owned())) }) }
    }

    pub fn export(attributes: Vec<KeyValue>, metrics: Vec<Metric>) -> Export {
        let resource = Some(Resource { attributes });
        let scope_metrics = vec![ScopeMetrics { metrics }];
        Export { resource_metrics: vec![ResourceMetrics { resource, scope_metrics }] }
    }

    fn metric(name: &str, unit: &str, data: Data) -> Metric {
        Metric { name: name.to_owned(), description: String::new(), unit: unit.to_owned(), data: Some(data) }
    }

    fn point(value: f64, attributes: Vec<KeyValue>) -> NumberPoint {
        NumberPoint { time_unix_nano: AT_NANO, number: Some(Number::Double(value)), attributes, flags: 0 }
    }

    pub fn gauge(name: &str, unit: &str, value: f64) -> Metric {
        metric(name, unit, Data::Gauge(Gauge { data_points: vec![point(value, vec![attribute("zone.id", "b")])] }))
    }

    pub fn sum(name: &str, unit: &str, value: f64, is_monotonic: bool, aggregation: Aggregation) -> Metric {
        let data_points = vec![point(value, Vec::new())];
        let aggregation_temporality = aggregation as i32;
        metric(name, unit, Data::Sum(Sum { data_points, aggregation_temporality, is_monotonic }))
    }

    pub fn histogram(name: &str, unit: &str, bounds: &[f64], counts: &[u64], sum: f64) -> Metric {
        let point = HistogramPoint {
            time_unix_nano: AT_NANO,
            count: counts.iter().sum(),
            sum: Some(sum),
            bucket_counts: counts.to_vec(),
            explicit_bounds: bounds.to_vec(),
            attributes: Vec::new(),
            flags: 0,
        };
        let aggregation_temporality = Aggregation::Cumulative as i32;
        metric(name, unit, Data::Histogram(Histogram { data_points: vec![point], aggregation_temporality }))
    }

    #[test]
    fn values_of_attributes_are_texts_or_json() {
        let list = Any::List(List { values: vec![AnyValue { any: Some(Any::Int(3)) }, AnyValue { any: None }] });
        for (any, expected) in [
            (Any::Text("a".to_owned()), json!("a")),
            (Any::Bool(true), json!(true)),
            (Any::Double(2.0), json!(2)),
            (Any::Double(2.5), json!(2.5)),
            (list, json!([3, null])),
            (Any::Bytes(vec![1, 2]), json!("AQI=")),
        ] {
            assert_eq!(AnyValue { any: Some(any) }.json(), expected);
        }
    }
}
