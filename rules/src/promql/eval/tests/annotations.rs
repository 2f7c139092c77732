//! Warnings and infos, as Prometheus words and places them.

use super::*;

fn memory() -> Memory {
    samples(&[
        "temperature 1 2 3",
        "requests_total 1 2 3",
        r#"lat_bucket{le="1"} 5 5 5"#,
        r#"lat_bucket{le="2"} 4 4 4"#,
        r#"lat_bucket{le="+Inf"} 9 9 9"#,
        r#"odd_bucket{le="x"} 1 1 1"#,
    ])
}

#[test]
fn what_is_doubtful_is_said_with_its_place() {
    let counter =
        "PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: \"temperature\"";
    let table: &[(&str, &[&str])] = &[
        ("rate(requests_total[5m])", &[]),
        ("rate(temperature[5m])", &[&format!("{counter} (1:6)")]),
        ("1 +\n increase(temperature[5m:1m])", &[&format!("{counter} (2:11)")]),
        ("irate(temperature[5m])", &[]),
        ("delta(temperature[5m])", &[]),
        ("rate(temperature[30s])", &[]),
        ("rate(label_replace(temperature, \"__name__\", \"\", \"\", \"\")[5m:1m])", &[]),
        ("quantile(1.5, temperature)", &["PromQL warning: quantile value should be between 0 and 1, got 1.5 (1:10)"]),
        (
            "quantile(-1e7, temperature)",
            &["PromQL warning: quantile value should be between 0 and 1, got -1e+07 (1:10)"],
        ),
        ("quantile(NaN, temperature)", &["PromQL warning: quantile value should be between 0 and 1, got NaN (1:10)"]),
        ("quantile(1, temperature)", &[]),
        (
            "quantile_over_time(Inf, temperature[5m])",
            &["PromQL warning: quantile value should be between 0 and 1, got +Inf (1:20)"],
        ),
        ("quantile_over_time(2, nothing[5m])", &[]),
        ("histogram_quantile(2, nothing)", &["PromQL warning: quantile value should be between 0 and 1, got 2 (1:20)"]),
        (
            "histogram_quantile(0.5, lat_bucket)",
            &["PromQL info: input to histogram_quantile needed to be fixed for monotonicity (see \
               https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile) (1:25)"],
        ),
        (
            "histogram_quantile(0.5, odd_bucket)",
            &["PromQL warning: bucket label \"le\" is missing or has a malformed value of \"x\" for metric name \
               \"odd_bucket\" (1:25)"],
        ),
        (
            "histogram_fraction(0, 1, sum(temperature))",
            &["PromQL warning: bucket label \"le\" is missing or has a malformed value of \"\" (1:26)"],
        ),
        ("sort(temperature)", &[]),
    ];
    for (text, expected) in table {
        let (warnings, infos) = evaluated(&memory(), text, 2 * MINUTE).expect(text).annotations(text);
        assert_eq!([warnings, infos].concat(), *expected, "{text}");
    }
}

#[test]
fn over_a_range_each_is_said_once_and_sorting_is_in_vain() {
    let found = |text| {
        let (warnings, infos) = ranged(&memory(), text, 0, 2 * MINUTE, MINUTE).expect(text).annotations(text);
        [warnings, infos].concat()
    };
    let sorted = "PromQL warning: sort is ineffective for range queries since results are always ordered by labels";
    assert_eq!(found("sort_desc(temperature)"), [format!("{sorted} (1:1)")]);
    assert_eq!(found("rate(temperature[5m])").len(), 1);
    assert_eq!(found("quantile(time(), temperature)").len(), 2, "60 and 120; 0 is a quantile");
}
