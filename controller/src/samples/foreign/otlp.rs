//! Metrics by OTLP, translated to a remote write: series under the names that Prometheus 3 gives them.
//!
//! Messages are `opentelemetry.proto.collector.metrics.v1.ExportMetricsServiceRequest` of
//! <https://github.com/open-telemetry/opentelemetry-proto>, as far as they are read. A gauge and a sum that may fall become a
//! gauge, a sum that only grows a counter, a histogram `_bucket`, `_sum` and `_count`, a summary the same with `quantile`.
//! What says how much came since the last time (delta) is refused, as Prometheus does by default; exponential histograms are
//! counted and passed over, as native ones are. Of what a resource is, `service.namespace/service.name` is `job` and
//! `service.instance.id` is `instance`; the rest are labels of `target_info`.

use std::collections::BTreeMap;

use watchkeep_rules::promql::labels::NAME;
use watchkeep_rules::promql::series::STALE;

use super::otlp_names::{label_name, metric_name};
use super::otlp_wire::{
    Aggregation, AnyValue, Data, Export, HistogramPoint, KeyValue, Metric, NumberPoint, Resource, SummaryPoint,
};
use super::write_request::{Label, MetricMetadata, MetricType, Sample, TimeSeries, WriteRequest};

/// Of `flags`: nothing was recorded; the series has ended.
const NO_VALUE: u32 = 1;

const SERVICE: &str = "service.name";
const NAMESPACE: &str = "service.namespace";
const INSTANCE: &str = "service.instance.id";

pub(super) type Pairs = Vec<(String, String)>;

/// What an export comes to.
#[derive(Debug, Default, PartialEq)]
pub struct Translated {
    pub request: WriteRequest,
    /// Sentences about metrics that are not taken.
    pub faults: Vec<String>,
    /// Exponential histograms, which are not kept.
    pub histograms: usize,
}

/// Translates what was exported. What makes no sense of it is a sentence each, and the rest is taken all the same.
pub fn translated(export: Export) -> Translated {
    let mut translated = Translated::default();
    for of_resource in export.resource_metrics {
        let resource = of_resource.resource.unwrap_or_default();
        let own = identity(&resource);
        let mut newest = None;
        for metric in of_resource.scope_metrics.into_iter().flat_map(|scope| scope.metrics) {
            let mut series = Series { translated: &mut translated, own: &own, newest: &mut newest };
            series.metric(metric);
        }
        target_info(&mut translated.request, &resource, &own, newest);
    }
    translated
}

/// `job` and `instance`, where the resource names them.
pub(super) fn identity(resource: &Resource) -> Pairs {
    let of = |key: &str| resource.attributes.iter().find(|pair| pair.key == key).map(KeyValue::text);
    let job = of(SERVICE).map(|service| match of(NAMESPACE) {
        Some(namespace) => format!("{namespace}/{service}"),
        None => service,
    });
    let instance = of(INSTANCE);
    let pairs = [("job", job), ("instance", instance)];
    pairs.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}

/// What else is known of a resource, at the newest instant of its samples.
fn target_info(request: &mut WriteRequest, resource: &Resource, own: &Pairs, newest: Option<i64>) {
    let is_other = |pair: &&KeyValue| ![SERVICE, NAMESPACE, INSTANCE].contains(&pair.key.as_str());
    let others: Vec<&KeyValue> = resource.attributes.iter().filter(is_other).collect();
    let Some(timestamp) = newest.filter(|_| !own.is_empty() && !others.is_empty()) else { return };
    let labels = labels("target_info", &others, own, &[]);
    request.timeseries.push(TimeSeries { labels, samples: vec![Sample { value: 1.0, timestamp }] });
    let (kind, family) = (MetricType::Gauge as i32, "target_info".to_owned());
    let help = "what is known of where metrics come from".to_owned();
    request.metadata.push(MetricMetadata { kind, family, help, unit: String::new() });
}

/// The labels of a series: attributes under names that Prometheus takes, those that come to the same name with `;` between
/// their values; what the resource is and what the series is prevail.
fn labels(name: &str, attributes: &[&KeyValue], own: &Pairs, more: &[(&str, String)]) -> Vec<Label> {
    let mut sorted = attributes.to_vec();
    sorted.sort_by(|a, b| a.key.cmp(&b.key));
    let mut labels: BTreeMap<String, String> = BTreeMap::new();
    for attribute in sorted {
        let value = attribute.text();
        let at = labels.entry(label_name(&attribute.key));
        at.and_modify(|known| *known = format!("{known};{value}")).or_insert(value);
    }
    labels.extend(own.iter().cloned());
    labels.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    labels.insert(NAME.to_owned(), name.to_owned());
    labels.into_iter().map(|(name, value)| Label { name, value }).collect()
}

/// Where the series of one resource go.
struct Series<'a> {
    translated: &'a mut Translated,
    own: &'a Pairs,
    /// The newest instant, ms.
    newest: &'a mut Option<i64>,
}

/// When and of what one point is.
struct Point<'a> {
    attributes: Vec<&'a KeyValue>,
    at: i64,
    is_end: bool,
}

impl<'a> Point<'a> {
    fn new(attributes: &'a [KeyValue], time_unix_nano: u64, flags: u32) -> Self {
        let at = i64::try_from(time_unix_nano / 1_000_000).unwrap_or(i64::MAX);
        Self { attributes: attributes.iter().collect(), at, is_end: flags & NO_VALUE != 0 }
    }
}

impl Series<'_> {
    fn metric(&mut self, metric: Metric) {
        let Metric { name, description, unit, data } = metric;
        let kind = match &data {
            None => return self.translated.faults.push(format!("metric \"{name}\" has no data")),
            Some(Data::Sum(sum)) if sum.is_monotonic => MetricType::Counter,
            Some(Data::Gauge(_) | Data::Sum(_)) => MetricType::Gauge,
            Some(Data::Histogram(_) | Data::ExponentialHistogram(_)) => MetricType::Histogram,
            Some(Data::Summary(_)) => MetricType::Summary,
        };
        let family = metric_name(&name, &unit, kind);
        if family.is_empty() {
            return self.translated.faults.push(format!("metric \"{name}\" has no name that could be kept"));
        }
        match data {
            Some(Data::Gauge(gauge)) => gauge.data_points.iter().for_each(|point| self.number(&family, point)),
            Some(Data::Sum(sum)) if self.accumulates(&name, sum.aggregation_temporality) => {
                sum.data_points.iter().for_each(|point| self.number(&family, point));
            }
            Some(Data::Histogram(histogram)) if self.accumulates(&name, histogram.aggregation_temporality) => {
                histogram.data_points.iter().for_each(|point| self.histogram(&family, point));
            }
            // What is told since the last export only: a fault says so.
            Some(Data::Sum(_) | Data::Histogram(_)) => {}
            Some(Data::ExponentialHistogram(histogram)) => {
                self.translated.histograms += histogram.data_points.len();
            }
            Some(Data::Summary(summary)) => {
                summary.data_points.iter().for_each(|point| self.summary(&family, point));
            }
            None => {}
        }
        let of = MetricMetadata { kind: kind as i32, family, help: description, unit };
        self.translated.request.metadata.push(of);
    }

    fn accumulates(&mut self, name: &str, temporality: i32) -> bool {
        let is = temporality == Aggregation::Cumulative as i32;
        if !is {
            let help = "have it exported as cumulative";
            self.translated
                .faults
                .push(format!("metric \"{name}\" says what came since the last time (delta); {help}"));
        }
        is
    }

    fn number(&mut self, family: &str, point: &NumberPoint) {
        let value = point.value();
        self.put(family, &Point::new(&point.attributes, point.time_unix_nano, point.flags), &[], value);
    }

    fn histogram(&mut self, family: &str, of: &HistogramPoint) {
        let point = Point::new(&of.attributes, of.time_unix_nano, of.flags);
        if let Some(sum) = of.sum {
            self.put(&format!("{family}_sum"), &point, &[], sum);
        }
        self.put(&format!("{family}_count"), &point, &[], of.count as f64);
        let buckets = format!("{family}_bucket");
        let mut count = 0_u64;
        for (bound, more) in of.explicit_bounds.iter().zip(&of.bucket_counts) {
            count = count.saturating_add(*more);
            self.put(&buckets, &point, &[("le", bound.to_string())], count as f64);
        }
        self.put(&buckets, &point, &[("le", "+Inf".to_owned())], of.count as f64);
    }

    fn summary(&mut self, family: &str, of: &SummaryPoint) {
        let point = Point::new(&of.attributes, of.time_unix_nano, of.flags);
        self.put(&format!("{family}_sum"), &point, &[], of.sum);
        self.put(&format!("{family}_count"), &point, &[], of.count as f64);
        for quantile in &of.quantile_values {
            self.put(family, &point, &[("quantile", quantile.quantile.to_string())], quantile.value);
        }
    }

    fn put(&mut self, name: &str, point: &Point<'_>, more: &[(&str, String)], value: f64) {
        let value = if point.is_end { f64::from_bits(STALE) } else { value };
        *self.newest = (*self.newest).max(Some(point.at));
        let labels = labels(name, &point.attributes, self.own, more);
        let samples = vec![Sample { value, timestamp: point.at }];
        self.translated.request.timeseries.push(TimeSeries { labels, samples });
    }
}

impl KeyValue {
    /// The value as a text: lists and maps as JSON.
    pub(super) fn text(&self) -> String {
        self.value.as_ref().map(AnyValue::text).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::super::otlp_wire::tests::{attribute, export, gauge, histogram, sum};
    use super::super::wire::{self, Kind};
    use super::*;

    /// `name{labels} value` of all series that come of one resource with these metrics.
    fn series(metrics: Vec<Metric>) -> Vec<String> {
        let resource = [
            attribute("service.name", "shop"),
            attribute("service.namespace", "prod"),
            attribute("service.instance.id", "a-1"),
            attribute("host.name", "web-1"),
        ];
        let bytes = export(resource.to_vec(), metrics).encode_to_vec();
        let translated = translated(Export::decode(bytes.as_slice()).expect("it decodes"));
        assert_eq!(translated.faults, Vec::<String>::new());
        let bytes = translated.request.encode_to_vec();
        let request = wire::read(Kind::RemoteWrite1, &bytes).expect("it is a remote write");
        let shown = request.series().map(|(pairs, points)| {
            let labels = wire::labels(pairs).expect("they make sense");
            format!("{labels} {}", points[0].value)
        });
        shown.collect()
    }

    #[test]
    fn a_resource_becomes_job_and_instance_and_the_rest_a_series_of_its_own() {
        assert_eq!(
            series(vec![gauge("queue.length", "{items}", 4.0)]),
            [
                "queue_length{instance=\"a-1\", job=\"prod/shop\", zone_id=\"b\"} 4",
                "target_info{host_name=\"web-1\", instance=\"a-1\", job=\"prod/shop\"} 1",
            ]
        );
    }

    #[test]
    fn a_histogram_becomes_buckets_that_add_up() {
        let found = series(vec![histogram("http.duration", "s", &[0.1, 2.0], &[3, 4, 5], 20.5)]);
        let own = "instance=\"a-1\", job=\"prod/shop\"";
        assert_eq!(
            found[..5],
            [
                format!("http_duration_seconds_sum{{{own}}} 20.5"),
                format!("http_duration_seconds_count{{{own}}} 12"),
                format!("http_duration_seconds_bucket{{{own}, le=\"0.1\"}} 3"),
                format!("http_duration_seconds_bucket{{{own}, le=\"2\"}} 7"),
                format!("http_duration_seconds_bucket{{{own}, le=\"+Inf\"}} 12"),
            ]
        );
    }

    #[test]
    fn a_sum_that_only_grows_is_a_counter_and_a_delta_is_refused() {
        let of = |metric| translated(export(Vec::new(), vec![metric]));
        let kind = |of: &Translated| of.request.metadata[0].kind();
        let counter = of(sum("requests", "1", 7.0, true, Aggregation::Cumulative));
        assert_eq!(
            (kind(&counter), counter.request.metadata[0].family.as_str()),
            (MetricType::Counter, "requests_total")
        );
        let gauge = of(sum("connections", "", 7.0, false, Aggregation::Cumulative));
        assert_eq!((kind(&gauge), gauge.request.metadata[0].family.as_str()), (MetricType::Gauge, "connections"));
        let delta = of(sum("requests", "1", 7.0, true, Aggregation::Delta));
        assert!(delta.request.timeseries.is_empty() && delta.faults[0].contains("cumulative"), "{:?}", delta.faults);
    }

    #[test]
    fn attributes_that_come_to_one_name_are_joined() {
        let own = vec![("job".to_owned(), "shop".to_owned())];
        let attributes = [attribute("a.b", "2"), attribute("a-b", "1"), attribute("job", "other")];
        let pairs = labels("up", &attributes.iter().collect::<Vec<_>>(), &own, &[]);
        let shown: Vec<String> = pairs.iter().map(|label| format!("{}={}", label.name, label.value)).collect();
        assert_eq!(shown, ["__name__=up", "a_b=1;2", "job=shop"]);
    }
}
