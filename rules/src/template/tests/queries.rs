//! `query` and what its result goes through, and what else a context gives.

use super::*;
use crate::promql::labels::{Labels, NAME};

fn sample(host: &str, value: f64) -> Sample {
    Sample::new(Labels::new([(NAME, "up"), ("host", host), ("__value__", "text")]), value)
}

/// Renders with a store that knows `up` of three hosts.
fn rendered(text: &str) -> String {
    let query = |expr: &str| match expr {
        "up" => Ok(vec![sample("c", 3.0), sample("a", 1.0), sample("b", 2.0)]),
        "nothing" => Ok(Vec::new()),
        other => Err(format!("unexpected {other}")),
    };
    let external = BTreeMap::from([("region".to_owned(), "eu".to_owned())]);
    let labels = labels();
    let context = Context {
        external_labels: &external,
        external_url: "https://watch.lan/keep?x=1",
        at: 1_709_212_062_500,
        query: Some(&query),
        ..Context::new(&labels, 0.5)
    };
    let template = Template::parse(text).expect(text);
    template.render_with(&context).unwrap_or_else(|error| format!("error: {error}"))
}

#[test]
fn a_query_gives_samples() {
    let table = [
        ("{{ query \"up\" | first | value }}", "3"),
        ("{{ with query \"up\" }}{{ . | first | label \"host\" }}{{ end }}", "c"),
        ("{{ with query \"nothing\" }}a{{ else }}none{{ end }}", "none"),
        ("{{ range query \"up\" }}{{ .Labels.host }}={{ .Value }} {{ end }}", "c=3 a=1 b=2 "),
        ("{{ range query \"up\" | sortByLabel \"host\" }}{{ .Labels.host }}{{ end }}", "abc"),
        (
            "{{ range $i, $s := query \"up\" }}{{ $i }}{{ $s.Labels.host }}{{ $s.Labels.nothing }} {{ end }}",
            "0c 1a 2b ",
        ),
        ("{{ (query \"up\" | first).Labels.__name__ }}", "up"),
        ("{{ (index (query \"up\") 1).Value }} {{ len (query \"up\") }}", "1 3"),
        ("{{ query \"up\" | first | strvalue }}", "text"),
        ("{{ printf \"%s\" (query \"up\" | first | value | humanize) }}", "3"),
        ("{{ first (query \"up\") }}", "{map[__name__:up __value__:text host:c] 3}"),
        ("{{ $q := printf \"%s\" \"up\" | query }}{{ len $q }}", "3"),
        ("{{ query \"nothing\" | first }}", "error: error calling first: first() called on vector with no elements"),
        ("{{ query \"up{\" }}", "error: error calling query: unexpected up{"),
        ("{{ query 5 }}", "error: expected string; found 5"),
    ];
    for (text, expected) in table {
        assert_eq!(rendered(text), expected, "{text}");
    }
}

#[test]
fn a_template_asks_no_end_of_queries() {
    let text = "{{ range query \"up\" }}{{ range query \"up\" }}{{ range query \"up\" }}{{ range query \"up\" }}\
                {{ range query \"up\" }}.{{ end }}{{ end }}{{ end }}{{ end }}{{ end }}";
    assert!(rendered(text).contains("asks at most 64 times"), "{}", rendered(text));
}

#[test]
fn the_installation_and_the_instant_are_in_sight() {
    let table = [
        ("{{ $externalLabels.region }} {{ .ExternalLabels.region }} {{ $externalLabels.nothing }}", "eu eu "),
        (
            "{{ $externalURL }} {{ externalURL }} {{ .ExternalURL }}",
            "https://watch.lan/keep?x=1 https://watch.lan/keep?x=1 https://watch.lan/keep?x=1",
        ),
        ("{{ pathPrefix }} {{ printf \"%s!\" pathPrefix }}", "/keep /keep!"),
        ("{{ now }} {{ now | humanizeTimestamp }}", "1.7092120625e+09 2024-02-29 13:07:42.5 +0000 UTC"),
    ];
    for (text, expected) in table {
        assert_eq!(rendered(text), expected, "{text}");
    }
}

#[test]
fn it_is_known_beforehand_whether_a_template_asks() {
    for (text, asks) in [
        ("{{ $labels.a }}", None),
        ("a {{ query \"up\" | first }}", Some(5)),
        ("{{ if $value }}{{ with (query \"up\") }}a{{ end }}{{ end }}", Some(24)),
        ("{{ define \"x\" }}{{ query \"up\" }}{{ end }}{{ template \"x\" }}", Some(19)),
    ] {
        assert_eq!(Template::parse(text).expect(text).asks(), asks, "{text}");
    }
}
