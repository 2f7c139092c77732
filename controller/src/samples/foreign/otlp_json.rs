//! How JSON writes what protobuf has: <https://protobuf.dev/programming-guides/json/>, with the differences of
//! <https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>. Whole numbers of 64 bits may be texts, numbers that
//! JSON lacks are texts, bytes are base64, but for the ids of traces and spans, which are hexadecimal.

use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE, Engine as _};
use serde::Deserialize;
use serde::de::{Deserializer, Error};

/// A number, or one in a text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Whole(i64),
    Large(u64),
    Broken(f64),
    Text(String),
}

impl Written {
    fn whole<T: TryFrom<i128>>(self) -> Result<T, String> {
        let whole = match &self {
            Self::Whole(whole) => Some(i128::from(*whole)),
            Self::Large(whole) => Some(i128::from(*whole)),
            Self::Broken(value) if value.fract() == 0.0 && value.abs() < 2_f64.powi(64) => Some(*value as i128),
            Self::Broken(_) => None,
            Self::Text(text) => text.trim().parse().ok(),
        };
        let whole = whole.and_then(|whole| T::try_from(whole).ok());
        whole.ok_or_else(|| format!("{} is no whole number in range", self.shown()))
    }

    fn float(self) -> Result<f64, String> {
        match &self {
            Self::Whole(whole) => Ok(*whole as f64),
            Self::Large(whole) => Ok(*whole as f64),
            Self::Broken(value) => Ok(*value),
            Self::Text(text) => text.parse().map_err(|_| format!("{} is no number", self.shown())),
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Whole(whole) => whole.to_string(),
            Self::Large(whole) => whole.to_string(),
            Self::Broken(value) => value.to_string(),
            Self::Text(text) => format!("\"{}\"", text.chars().take(40).collect::<String>()),
        }
    }
}

pub fn u64<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    Written::deserialize(from)?.whole().map_err(D::Error::custom)
}

pub fn i64<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
    Written::deserialize(from)?.whole().map_err(D::Error::custom)
}

pub fn f64<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Written::deserialize(from)?.float().map_err(D::Error::custom)
}

pub fn maybe_f64<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
    Option::<Written>::deserialize(from)?.map(Written::float).transpose().map_err(D::Error::custom)
}

pub fn u64s<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u64>, D::Error> {
    let all = Vec::<Written>::deserialize(from)?;
    all.into_iter().map(Written::whole).collect::<Result<_, _>>().map_err(D::Error::custom)
}

pub fn f64s<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<f64>, D::Error> {
    let all = Vec::<Written>::deserialize(from)?;
    all.into_iter().map(Written::float).collect::<Result<_, _>>().map_err(D::Error::custom)
}

pub fn base64<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(from)?;
    let read = BASE64_STANDARD.decode(&text).or_else(|_| BASE64_URL_SAFE.decode(&text));
    read.map_err(|error| D::Error::custom(format!("bytes are not in base64: {error}")))
}

pub fn hexadecimal<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(from)?;
    if text.len() % 2 != 0 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err(D::Error::custom("an id is not in hexadecimal"));
    }
    Ok(crate::ingest::unhexadecimal(&text))
}

#[cfg(test)]
mod tests {
    use super::super::otlp_wire::{Any, AnyValue, Data, Export, Number};
    use super::*;

    #[test]
    fn numbers_come_as_numbers_or_texts() {
        let whole = |text: &str| serde_json::from_str::<Written>(text).expect("it is written").whole::<u64>();
        for (text, expected) in [("7", Ok(7)), ("\"18446744073709551615\"", Ok(u64::MAX)), ("7.0", Ok(7))] {
            assert_eq!(whole(text), expected);
        }
        for text in ["-1", "7.5", "\"seven\"", "1e30"] {
            assert!(whole(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_export_in_json_is_the_same_as_in_protobuf() {
        let text = r#"{"resourceMetrics": [{
            "resource": {"attributes": [{"key": "a", "value": {"intValue": "5"}}], "unknownField": {}},
            "scopeMetrics": [{"scope": {"name": "s"}, "metrics": [
                {"name": "g", "unit": "By", "gauge": {"dataPoints": [
                    {"timeUnixNano": "1795464000000000000", "asDouble": "NaN"},
                    {"timeUnixNano": 1795464000000000000, "asInt": "-3",
                     "attributes": [{"key": "l", "value": {"arrayValue": {"values": [{"boolValue": true}]}}}]}]}},
                {"name": "h", "histogram": {"aggregationTemporality": 2, "dataPoints": [
                    {"count": "3", "sum": 4.5, "bucketCounts": ["1", 2], "explicitBounds": [1]}]}}
            ]}]}]}"#;
        let export: Export = serde_json::from_str(text).expect("it reads");
        let of = &export.resource_metrics[0];
        let attributes = &of.resource.as_ref().expect("it is there").attributes;
        assert_eq!(attributes[0].value, Some(AnyValue { any: Some(Any::Int(5)) }));
        let [gauge, histogram] = &of.scope_metrics[0].metrics[..] else { panic!("two metrics") };
        let Some(Data::Gauge(points)) = &gauge.data else { panic!("{gauge:?}") };
        assert!(points.data_points[0].value().is_nan());
        assert_eq!(points.data_points[1].number, Some(Number::Int(-3)));
        assert_eq!(points.data_points[1].attributes[0].value.as_ref().expect("one").json(), serde_json::json!([true]));
        let Some(Data::Histogram(of)) = &histogram.data else { panic!("{histogram:?}") };
        let point = &of.data_points[0];
        assert_eq!((point.count, point.sum, &point.bucket_counts[..]), (3, Some(4.5), &[1, 2][..]));
    }
}
