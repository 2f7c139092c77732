//! Names of OpenTelemetry as Prometheus writes them: no dots, the unit and `_total` behind.
//!
//! The rules are those of <https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/> and of
//! Prometheus 3 with `translation_strategy: UnderscoreEscapingWithSuffixes`, its default.

use super::write_request::MetricType;

/// Units of UCUM as words.
const UNITS: [(&str, &str); 28] = [
    ("d", "days"),
    ("h", "hours"),
    ("min", "minutes"),
    ("s", "seconds"),
    ("ms", "milliseconds"),
    ("us", "microseconds"),
    ("ns", "nanoseconds"),
    ("By", "bytes"),
    ("KiBy", "kibibytes"),
    ("MiBy", "mebibytes"),
    ("GiBy", "gibibytes"),
    ("TiBy", "tibibytes"),
    ("KBy", "kilobytes"),
    ("MBy", "megabytes"),
    ("GBy", "gigabytes"),
    ("TBy", "terabytes"),
    ("m", "meters"),
    ("V", "volts"),
    ("A", "amperes"),
    ("J", "joules"),
    ("W", "watts"),
    ("g", "grams"),
    ("Cel", "celsius"),
    ("Hz", "hertz"),
    ("1", ""),
    ("%", "percent"),
    ("kBy", "kilobytes"),
    ("KHz", "kilohertz"),
];

/// What a rate is per.
const PER: [(&str, &str); 7] =
    [("s", "second"), ("m", "minute"), ("h", "hour"), ("d", "day"), ("w", "week"), ("mo", "month"), ("y", "year")];

/// The name of a metric family; empty where nothing of it can be kept.
pub fn metric_name(name: &str, unit: &str, kind: MetricType) -> String {
    let is_kept = |c: char| c.is_ascii_alphanumeric() || c == ':';
    let mut tokens: Vec<String> =
        name.split(|c| !is_kept(c)).filter(|token| !token.is_empty()).map(str::to_owned).collect();
    let (main, per) = units(unit);
    if !main.is_empty() && !tokens.contains(&main) {
        tokens.push(main);
    }
    if !per.is_empty() && !tokens.contains(&per) {
        tokens.push(format!("per_{per}"));
    }
    let mut ends_with = |word: &str| {
        tokens.retain(|token| token != word);
        tokens.push(word.to_owned());
    };
    match kind {
        MetricType::Counter => ends_with("total"),
        MetricType::Gauge if unit == "1" => ends_with("ratio"),
        _ => {}
    }
    let name = tokens.join("_");
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}

/// What is measured, and per what; what stands in braces is a remark.
fn units(unit: &str) -> (String, String) {
    let (main, per) = unit.split_once('/').unwrap_or((unit, ""));
    let word = |unit: &str, known: &[(&str, &str)]| {
        let unit = unit.trim();
        if unit.contains(['{', '}']) {
            return String::new();
        }
        let word = known.iter().find(|(short, _)| *short == unit).map_or(unit, |(_, word)| word);
        let tokens = word.split(|c: char| !c.is_ascii_alphanumeric() && c != ':').filter(|token| !token.is_empty());
        tokens.collect::<Vec<_>>().join("_")
    };
    (word(main, &UNITS), word(per, &PER))
}

/// The name of a label: letters, digits and underscores, and no digit first.
pub fn label_name(key: &str) -> String {
    let name: String = key.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        format!("key_{name}")
    } else if name.starts_with('_') && !name.starts_with("__") {
        format!("key{name}")
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_has_its_unit_and_kind_behind_its_name() {
        for (name, unit, kind, expected) in [
            ("system.filesystem.usage", "By", MetricType::Gauge, "system_filesystem_usage_bytes"),
            ("system.network.dropped", "{packets}", MetricType::Counter, "system_network_dropped_total"),
            ("system.network.io", "By", MetricType::Counter, "system_network_io_bytes_total"),
            ("system.cpu.utilization", "1", MetricType::Gauge, "system_cpu_utilization_ratio"),
            ("requests", "1", MetricType::Counter, "requests_total"),
            ("http.server.duration", "ms", MetricType::Histogram, "http_server_duration_milliseconds"),
            ("already_seconds", "s", MetricType::Gauge, "already_seconds"),
            ("total.requests", "", MetricType::Counter, "requests_total"),
            ("disk.speed", "By/s", MetricType::Gauge, "disk_speed_bytes_per_second"),
            ("speed", "m/min", MetricType::Gauge, "speed_meters_per_min"),
            ("a..b--c", "", MetricType::Gauge, "a_b_c"),
            ("job:up:sum", "", MetricType::Gauge, "job:up:sum"),
            ("2xx.responses", "", MetricType::Gauge, "_2xx_responses"),
            ("energy", "kW.h", MetricType::Gauge, "energy_kW_h"),
            ("...", "", MetricType::Gauge, ""),
        ] {
            assert_eq!(metric_name(name, unit, kind), expected, "{name} in {unit:?}");
        }
    }

    #[test]
    fn a_label_has_a_name_that_prometheus_takes() {
        for (key, name) in [
            ("http.request.method", "http_request_method"),
            ("2nd", "key_2nd"),
            ("_private", "key_private"),
            ("__reserved", "__reserved"),
            ("größe", "gr__e"),
        ] {
            assert_eq!(label_name(key), name);
        }
    }
}
