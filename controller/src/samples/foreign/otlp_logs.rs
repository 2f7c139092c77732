//! Logs by OTLP, translated to events: what was written, with labels by which rules take it.
//!
//! Messages are `opentelemetry.proto.collector.logs.v1.ExportLogsServiceRequest`, from protobuf and from JSON. An event's
//! labels are the attributes of its resource and of the record, under names that Prometheus takes; `kind` is the record's
//! `event_name` (or attribute `event.name`), else `log`; `severity` is by the ranges of
//! <https://opentelemetry.io/docs/specs/otel/logs/data-model/#field-severitynumber>; `trace_id` and `span_id` are in
//! hexadecimal. `host.name` says which host it is of.

use std::collections::BTreeMap;

use prost::Message;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use watchkeep_protocol::limits::TEXT_BYTES;

use super::otlp::identity;
use super::otlp_json as json;
use super::otlp_names::label_name;
use super::otlp_wire::{AnyValue, KeyValue, PartialSuccess, Resource};

/// Records that are taken of one request.
pub const RECORDS_MAX: usize = 5_000;
/// Labels of one event, and bytes of the value of one.
const LABELS_MAX: usize = 64;
const LABEL_BYTES: usize = 2_048;
/// How far ahead of the controller's clock a record may be, ms; one further ahead is of now.
const AHEAD_MS: i64 = 60_000;

/// `ExportLogsServiceRequest`.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Export {
    #[prost(message, repeated, tag = "1")]
    pub resource_logs: Vec<ResourceLogs>,
}

/// `ExportLogsServiceResponse`: as that of metrics, field by field.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Exported {
    #[prost(message, optional, tag = "1")]
    pub partial_success: Option<PartialSuccess>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ResourceLogs {
    #[prost(message, optional, tag = "1")]
    pub resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    pub scope_logs: Vec<ScopeLogs>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ScopeLogs {
    #[prost(message, optional, tag = "1")]
    pub scope: Option<Scope>,
    #[prost(message, repeated, tag = "2")]
    pub log_records: Vec<LogRecord>,
}

/// `InstrumentationScope`.
#[derive(Clone, PartialEq, Eq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Scope {
    #[prost(string, tag = "1")]
    pub name: String,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LogRecord {
    #[prost(fixed64, tag = "1")]
    #[serde(deserialize_with = "json::u64")]
    pub time_unix_nano: u64,
    #[prost(int32, tag = "2")]
    pub severity_number: i32,
    #[prost(string, tag = "3")]
    pub severity_text: String,
    #[prost(message, optional, tag = "5")]
    pub body: Option<AnyValue>,
    #[prost(message, repeated, tag = "6")]
    pub attributes: Vec<KeyValue>,
    #[prost(bytes = "vec", tag = "9")]
    #[serde(deserialize_with = "json::hexadecimal")]
    pub trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "10")]
    #[serde(deserialize_with = "json::hexadecimal")]
    pub span_id: Vec<u8>,
    #[prost(fixed64, tag = "11")]
    #[serde(deserialize_with = "json::u64")]
    pub observed_time_unix_nano: u64,
    #[prost(string, tag = "12")]
    pub event_name: String,
}

/// One record as an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// The same for the same record of the same resource, whenever it is sent.
    pub id: String,
    /// UTC milliseconds.
    pub at: i64,
    pub labels: BTreeMap<String, String>,
    pub text: String,
}

/// What an export comes to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Translated {
    /// By the resource's `host.name`; empty where it has none.
    pub by_host: BTreeMap<String, Vec<Logged>>,
    /// Records that are not taken, and sentences about them.
    pub rejected: usize,
    pub faults: Vec<String>,
}

/// Translates what was exported; `now` is the controller's time. What is beyond a limit is a sentence, and the rest is taken.
pub fn translated(export: Export, now: i64) -> Translated {
    let mut translated = Translated::default();
    let mut taken = 0;
    for of_resource in export.resource_logs {
        let resource = of_resource.resource.unwrap_or_default();
        let host = resource.attributes.iter().find(|pair| pair.key == "host.name").map(KeyValue::text);
        let own = of_the_resource(&resource, host.as_deref());
        for scope in of_resource.scope_logs {
            let name = scope.scope.map(|scope| scope.name).filter(|name| !name.is_empty());
            for record in scope.log_records {
                if taken == RECORDS_MAX {
                    translated.rejected += 1;
                    continue;
                }
                match event(&record, &own, name.as_deref(), now) {
                    Ok(logged) => {
                        taken += 1;
                        translated.by_host.entry(host.clone().unwrap_or_default()).or_default().push(logged);
                    }
                    Err(fault) => {
                        translated.rejected += 1;
                        translated.faults.push(fault);
                    }
                }
            }
        }
    }
    if taken == RECORDS_MAX && translated.rejected > 0 {
        translated.faults.push(format!("at most {RECORDS_MAX} records are taken at once; send fewer in a batch"));
    }
    translated
}

/// Labels of every record of a resource. Where nothing names an instance, the host is it.
fn of_the_resource(resource: &Resource, host: Option<&str>) -> BTreeMap<String, String> {
    let mut labels: BTreeMap<String, String> = BTreeMap::new();
    labels.extend(host.map(|host| ("instance".to_owned(), host.to_owned())));
    labels.extend(named(&resource.attributes));
    labels.extend(identity(resource));
    labels
}

fn named(attributes: &[KeyValue]) -> impl Iterator<Item = (String, String)> {
    attributes.iter().map(|pair| (label_name(&pair.key), pair.text()))
}

fn event(record: &LogRecord, own: &BTreeMap<String, String>, scope: Option<&str>, now: i64) -> Result<Logged, String> {
    let mut labels = own.clone();
    labels.extend(scope.map(|name| ("otel_scope_name".to_owned(), name.to_owned())));
    labels.extend(named(&record.attributes));
    let named = [&record.event_name, labels.get("event_name").unwrap_or(&record.event_name)];
    let kind = named.into_iter().find(|name| !name.is_empty()).map_or("log", String::as_str).to_owned();
    labels.insert("kind".to_owned(), kind);
    labels.insert("severity".to_owned(), severity(record));
    labels.insert("trace_id".to_owned(), crate::access::hex(&record.trace_id));
    labels.insert("span_id".to_owned(), crate::access::hex(&record.span_id));
    labels.retain(|_, value| !value.is_empty());
    if labels.len() > LABELS_MAX {
        return Err(format!("a record has {} attributes, at most {LABELS_MAX} are taken", labels.len()));
    }
    for (name, value) in &mut labels {
        if name.len() > LABEL_BYTES || value.len() > LABEL_BYTES {
            let name = &name[..name.floor_char_boundary(64)];
            return Err(format!("attribute \"{name}\" of a record has more than {LABEL_BYTES} bytes"));
        }
        *value = without_nul(value);
    }
    let text = record.body.as_ref().map(AnyValue::text).unwrap_or_default();
    let text = without_nul(&text[..text.floor_char_boundary(TEXT_BYTES)]);
    let id = id(record, &labels, &text);
    Ok(Logged { id, at: instant(record, now), labels, text })
}

/// When it happened, else when it was seen, else now.
fn instant(record: &LogRecord, now: i64) -> i64 {
    let known = [record.time_unix_nano, record.observed_time_unix_nano].into_iter().find(|nano| *nano > 0);
    let at = known.map_or(now, |nano| i64::try_from(nano / 1_000_000).unwrap_or(i64::MAX));
    if at > now.saturating_add(AHEAD_MS) { now } else { at }
}

fn severity(record: &LogRecord) -> String {
    let word = match record.severity_number {
        1..=4 => "trace",
        5..=8 => "debug",
        9..=12 => "info",
        13..=16 => "warn",
        17..=20 => "error",
        21..=24 => "fatal",
        _ => return record.severity_text.to_ascii_lowercase(),
    };
    word.to_owned()
}

/// No database keeps it in a text.
fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

fn id(record: &LogRecord, labels: &BTreeMap<String, String>, text: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(record.time_unix_nano.to_be_bytes());
    hash.update(record.observed_time_unix_nano.to_be_bytes());
    for part in labels.iter().flat_map(|(name, value)| [name.as_str(), value]).chain([text]) {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    format!("otlp/{}", crate::access::hex(&hash.finalize()[..16]))
}

#[cfg(test)]
mod tests {
    use super::super::otlp_wire::tests::attribute;
    use super::super::otlp_wire::{Any, List};
    use super::*;

    const NOW: i64 = 1_795_464_000_000;
    const NOW_NANO: u64 = NOW as u64 * 1_000_000;

    fn record(text: &str) -> LogRecord {
        let body = Some(AnyValue { any: Some(Any::Text(text.to_owned())) });
        LogRecord { time_unix_nano: NOW_NANO, severity_number: 17, body, ..LogRecord::default() }
    }

    fn export(log_records: Vec<LogRecord>) -> Export {
        let attributes = vec![attribute("host.name", "web-1"), attribute("service.name", "shop")];
        let scope = Some(Scope { name: "cart".to_owned() });
        let (resource, scope_logs) = (Some(Resource { attributes }), vec![ScopeLogs { scope, log_records }]);
        Export { resource_logs: vec![ResourceLogs { resource, scope_logs }] }
    }

    fn shown(logged: &Logged) -> String {
        let labels = logged.labels.iter().map(|(name, value)| format!("{name}={value}"));
        labels.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_record_becomes_an_event_with_its_attributes_severity_and_trace() {
        let traced = LogRecord {
            trace_id: vec![0xab; 16],
            span_id: vec![0xcd; 8],
            attributes: vec![attribute("http.route", "/cart"), attribute("event.name", "checkout.failed")],
            ..record("card\0 refused")
        };
        let bytes = export(vec![traced]).encode_to_vec();
        let found = translated(Export::decode(bytes.as_slice()).expect("it decodes"), NOW);
        let [logged] = &found.by_host["web-1"][..] else { panic!("one: {found:?}") };
        assert_eq!(
            shown(logged),
            format!(
                "event_name=checkout.failed host_name=web-1 http_route=/cart instance=web-1 job=shop \
                 kind=checkout.failed otel_scope_name=cart service_name=shop severity=error span_id={} trace_id={}",
                "cd".repeat(8),
                "ab".repeat(16)
            )
        );
        assert_eq!((logged.at, logged.text.as_str()), (NOW, "card\u{fffd} refused"));
    }

    #[test]
    fn json_and_protobuf_give_the_same() {
        let text = format!(
            r#"{{"resourceLogs": [{{
                "resource": {{"attributes": [
                    {{"key": "host.name", "value": {{"stringValue": "web-1"}}}},
                    {{"key": "service.name", "value": {{"stringValue": "shop"}}}}]}},
                "scopeLogs": [{{"scope": {{"name": "cart", "version": "1"}}, "logRecords": [{{
                    "timeUnixNano": "{NOW_NANO}", "severityNumber": 17, "severityText": "ERROR",
                    "body": {{"stringValue": "a"}}, "traceId": "{}", "flags": 1}}]}}]}}]}}"#,
            "AB".repeat(16)
        );
        let of_json = translated(serde_json::from_str(&text).expect("it reads"), NOW);
        let same = LogRecord { trace_id: vec![0xab; 16], ..record("a") };
        assert_eq!(of_json, translated(export(vec![same]), NOW));
        for wrong in [
            "{\"resourceLogs\": 5}",
            "{\"resourceLogs\": [{\"scopeLogs\": [{\"logRecords\": [{\"traceId\": \"x\"}]}]}]}",
        ] {
            assert!(serde_json::from_str::<Export>(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_has_no_time_or_one_ahead_is_of_now_and_severity_goes_by_number_or_text() {
        let of = |record: LogRecord| {
            let found = translated(export(vec![record]), NOW);
            let logged = found.by_host["web-1"][0].clone();
            (logged.at, logged.labels.get("severity").cloned().unwrap_or_default())
        };
        assert_eq!(of(LogRecord { time_unix_nano: 0, severity_number: 9, ..record("") }), (NOW, "info".to_owned()));
        let seen =
            LogRecord { time_unix_nano: 0, observed_time_unix_nano: 5_000_000, severity_number: 24, ..record("") };
        assert_eq!(of(seen), (5, "fatal".to_owned()));
        let ahead = LogRecord {
            time_unix_nano: u64::MAX,
            severity_number: 0,
            severity_text: "Notice".to_owned(),
            ..record("")
        };
        assert_eq!(of(ahead), (NOW, "notice".to_owned()));
    }

    #[test]
    fn what_is_beyond_a_limit_is_told_and_the_rest_is_taken() {
        let long = LogRecord { attributes: vec![attribute("a", &"x".repeat(LABEL_BYTES + 1))], ..record("a") };
        let attributes = (0..70).map(|number| attribute(&format!("a{number}"), "1")).collect();
        let found = translated(export(vec![long, LogRecord { attributes, ..record("b") }, record("c")]), NOW);
        assert_eq!((found.rejected, found.by_host["web-1"].len()), (2, 1));
        assert!(found.faults[0].contains("\"a\"") && found.faults[1].contains("at most 64"), "{:?}", found.faults);
        let found = translated(export(vec![record("a"); RECORDS_MAX + 3]), NOW);
        assert_eq!((found.rejected, found.by_host["web-1"].len(), found.faults.len()), (3, RECORDS_MAX, 1));
    }

    #[test]
    fn a_body_that_is_no_text_is_json() {
        let list = List { values: vec![AnyValue { any: Some(Any::Int(1)) }] };
        let body = Some(AnyValue { any: Some(Any::List(list)) });
        let found = translated(export(vec![LogRecord { body, ..record("") }]), NOW);
        assert_eq!(found.by_host["web-1"][0].text, "[1]");
    }
}
