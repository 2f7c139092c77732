use proptest::prelude::*;

use super::*;

/// All samples as `kind name{labels} value`, read in parts of `size` bytes.
fn in_parts(format: Format, text: &[u8], size: usize) -> Result<Vec<String>, String> {
    let (mut reader, mut found) = (Reader::new(format), Vec::new());
    let mut take = |sample: Sample<'_>| {
        let labels: Vec<String> = sample.labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        let kind = match sample.kind {
            MetricKind::Counter => "c",
            MetricKind::Gauge => "g",
            MetricKind::Untyped => "u",
        };
        found.push(format!("{kind} {}{{{}}} {}", sample.name, labels.join(","), sample.value));
        Ok(())
    };
    for part in text.chunks(size) {
        reader.read(part, &mut take)?;
    }
    reader.end(&mut take)?;
    Ok(found)
}

fn read(format: Format, text: &str) -> Result<Vec<String>, String> {
    let whole = in_parts(format, text.as_bytes(), usize::MAX);
    for size in [1, 2, 7] {
        assert_eq!(in_parts(format, text.as_bytes(), size), whole, "in parts of {size} bytes");
    }
    whole
}

#[test]
fn the_text_format_is_read_with_all_its_liberties() {
    let text = "# HELP http_requests_total The \\\\ total\n# TYPE http_requests_total counter\n\
                http_requests_total{method=\"post\",code=\"200\"} 1027 1395066363000\n\
                http_requests_total { code = \"400\" , method=\"post\", } 3\n\
                # just a comment\n\n   \n\
                msdos_file_access_time_seconds{path=\"C:\\\\DIR\\\\FILE.TXT\",error=\"Cannot find:\\n\\\"it\\\" \\x}\"} 1.458255915e9\r\n\
                \tmetric_without_timestamp_and_labels \t 12.47 \n\
                something_weird{problem=\"division by zero\",none=\"\"} +Inf -3982045\n\
                # TYPE h histogram\nh_bucket{le=\"+Inf\"} 5\nh_sum NaN\nh_count 5\n\
                # TYPE s summary\ns{quantile=\"0.5\"} 4.7\ns_sum 1\n# TYPE g gauge\na:b 1\ng -0x";
    let expected = [
        "c http_requests_total{code=\"200\",method=\"post\"} 1027",
        "c http_requests_total{code=\"400\",method=\"post\"} 3",
        "u msdos_file_access_time_seconds{error=\"Cannot find:\\n\\\"it\\\" \\\\x}\",path=\"C:\\\\DIR\\\\FILE.TXT\"} 1458255915",
        "u metric_without_timestamp_and_labels{} 12.47",
        "u something_weird{problem=\"division by zero\"} inf",
        "c h_bucket{le=\"+Inf\"} 5",
        "c h_sum{} NaN",
        "c h_count{} 5",
        "g s{quantile=\"0.5\"} 4.7",
        "c s_sum{} 1",
        "u a:b{} 1",
        "g g{} -0",
    ];
    assert_eq!(read(Format::Prometheus, &text.replace("-0x", "-0")).expect("is read"), expected);
    assert_eq!(read(Format::Prometheus, text), Err("line 20: value \"-0x\" of \"g\" is no number".to_owned()));
}

#[test]
fn open_metrics_are_read_with_exemplars_and_their_end() {
    let text = "# TYPE acme_http_router_request_seconds summary\n# UNIT acme_http_router_request_seconds seconds\n\
                acme_http_router_request_seconds_sum{path=\"/api/v1\",method=\"GET\"} 9036.32 1520430000.123\n\
                acme_http_router_request_seconds_created{path=\"/api/v1\",method=\"GET\"} 1605281325.0\n\
                # TYPE go_goroutines gauge\ngo_goroutines 69\n\
                # TYPE process_cpu_seconds counter\nprocess_cpu_seconds_total 4.20072246e+06 # {trace=\"x y\"} 0.7 1.5\n\
                # EOF\n";
    let expected = [
        "c acme_http_router_request_seconds_sum{method=\"GET\",path=\"/api/v1\"} 9036.32",
        "g acme_http_router_request_seconds_created{method=\"GET\",path=\"/api/v1\"} 1605281325",
        "g go_goroutines{} 69",
        "c process_cpu_seconds_total{} 4200722.46",
    ];
    assert_eq!(read(Format::OpenMetrics, text).expect("is read"), expected);
    let cut = text.replace("# EOF\n", "");
    assert_eq!(read(Format::OpenMetrics, &cut), Err("line 8: it ends without \"# EOF\"".to_owned()));
    let more = format!("{text}a 1\n");
    assert_eq!(read(Format::OpenMetrics, &more), Err("line 10: there is more behind \"# EOF\"".to_owned()));
}

#[test]
fn what_is_no_exposition_ends_with_its_line() {
    for (text, fault) in [
        ("a 1\n<html>\n", "line 2: \"<html>\" has no value"),
        ("<html lang=\"en\">\n", "line 1: \"<html\" is no name of a metric"),
        ("9a 1\n", "line 1: \"9a\" is no name of a metric"),
        ("a{b=\"c} 1\n", "line 1: the value of label \"b\" does not end"),
        ("a{b=\"c\\\n", "line 1: the value of label \"b\" does not end"),
        ("a{b=c} 1\n", "line 1: label \"b\" has no value in quotes"),
        ("a{b} 1\n", "line 1: \"b} 1\" is no label"),
        ("a{b-c=\"1\"} 1\n", "line 1: \"b-c\" is no name of a label"),
        ("a{b=\"1\" c=\"2\"} 1\n", "line 1: \"c=\\\"2\\\"} 1\" behind label \"b\""),
        ("a{b=\"1\",b=\"2\"} 1\n", "line 1: label \"b\" of \"a\" stands there twice"),
        ("a{b=\"1\"}\n", "line 1: \"a\" has no value"),
        ("a one\n", "line 1: value \"one\" of \"a\" is no number"),
        ("a 1 later\n", "line 1: time \"later\" of \"a\" is none"),
        ("a 1 2 3\n", "line 1: \"3\" behind the value of \"a\""),
    ] {
        assert_eq!(read(Format::Prometheus, text), Err(fault.to_owned()), "{text:?}");
    }
    assert_eq!(in_parts(Format::Prometheus, b"a{b=\"\xff\"} 1\n", 3), Err("line 1: it is not UTF-8".to_owned()));
    let long = vec![b'a'; LINE_BYTES + 1];
    assert_eq!(in_parts(Format::Prometheus, &long, 4096), Err("line 1: it is longer than 65536 bytes".to_owned()));
}

#[test]
fn the_format_is_what_the_answer_says_it_is() {
    assert_eq!(Format::of("application/openmetrics-text; version=1.0.0; charset=utf-8"), Format::OpenMetrics);
    assert_eq!(Format::of("text/plain; version=0.0.4"), Format::Prometheus);
    assert_eq!(Format::of(""), Format::Prometheus);
}

proptest! {
    /// Hostile text is a fault or samples, whatever the parts in which it comes.
    #[test]
    fn any_text_is_read_alike_in_any_parts(text in "([a-c]{1,2}|[{}=\", \\\\\n\t#1.eE+é-]|# TYPE |\" 1\n){0,60}", size in 1_usize..20) {
        for format in [Format::Prometheus, Format::OpenMetrics] {
            let whole = in_parts(format, text.as_bytes(), usize::MAX);
            prop_assert_eq!(in_parts(format, text.as_bytes(), size), whole);
        }
    }

    /// What a well-behaved exporter writes of a label's value is what is read.
    #[test]
    fn any_label_value_is_read_as_it_was_meant(value in "\\PC{0,20}|[\\\\\"\n]{1,6}") {
        prop_assume!(!value.is_empty());
        let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let text = format!("a{{b=\"{escaped}\"}} 1\n");
        let mut found = None;
        let mut reader = Reader::new(Format::Prometheus);
        reader.read(text.as_bytes(), &mut |sample| { found = Some(sample.labels[0].1.clone()); Ok(()) }).expect("is read");
        prop_assert_eq!(found, Some(value));
    }
}
