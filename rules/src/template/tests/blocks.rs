//! Variables, `range`, `define`, and what Go's types do.

use super::*;

fn check(table: &[(&str, &str)]) {
    for (text, expected) in table {
        let found = render(text, &labels(), 0.5).unwrap_or_else(|error| format!("error: {error}"));
        assert_eq!(found, *expected, "{text}");
    }
}

#[test]
fn range_goes_over_maps_by_key() {
    check(&[
        ("{{ range $labels }}{{ . }};{{ end }}", "web-1.lan:9100;1536;nginx.service;"),
        (
            "{{ range $k, $v := $labels }}{{ $k }}={{ $v }};{{ end }}",
            "instance=web-1.lan:9100;size=1536;unit=nginx.service;",
        ),
        ("{{ range $v := .Labels }}<{{ $v }}>{{ end }}", "<web-1.lan:9100><1536><nginx.service>"),
        ("{{ range $externalLabels }}x{{ else }}none{{ end }}", "none"),
        ("{{ range $k, $v := $labels }}{{ if eq $k \"size\" }}{{ break }}{{ end }}{{ $k }}{{ end }}", "instance"),
        (
            "{{ range $k, $v := $labels }}{{ if eq $k \"size\" }}{{ continue }}{{ end }}{{ $k }} {{ end }}",
            "instance unit ",
        ),
        (
            "{{ range $k, $v := $labels }}{{ range $labels }}{{ break }}{{ end }}{{ $k }} {{ end }}",
            "instance size unit ",
        ),
        ("{{ range $labels }}{{ $.Value }} {{ $labels.size }} {{ end }}", "0.5 1536 0.5 1536 0.5 1536 "),
    ]);
}

#[test]
fn variables_live_as_long_as_their_block() {
    check(&[
        ("{{ $x := 1 }}{{ if true }}{{ $x := 2 }}{{ $x }}{{ end }}{{ $x }}", "21"),
        ("{{ $x := 1 }}{{ if true }}{{ $x = 2 }}{{ $x }}{{ end }}{{ $x }}", "22"),
        ("{{ $n := \"\" }}{{ range $labels }}{{ $n = print $n \"x\" }}{{ end }}{{ $n }}", "xxx"),
        ("{{ with $u := $labels.unit }}{{ $u }} {{ . }}{{ end }}", "nginx.service nginx.service"),
        ("{{ if $u := $labels.nothing }}a{{ else }}[{{ $u }}]{{ end }}", "[]"),
        ("{{ with $labels.nothing }}a{{ else with $labels.unit }}{{ . }}{{ end }}", "nginx.service"),
        ("{{ $value := 7 }}{{ $value }} {{ .Value }}", "7 0.5"),
    ]);
}

#[test]
fn a_defined_template_sees_its_data_alone() {
    check(&[
        (
            "{{ define \"x\" }}<{{ . }}>{{ end }}{{ template \"x\" $labels.unit }}{{ template \"x\" 5 }}",
            "<nginx.service><5>",
        ),
        ("{{ define \"x\" }}{{ .Labels.unit }} {{ .Value }}{{ end }}a {{ template \"x\" . }}", "a nginx.service 0.5"),
        ("{{ define \"x\" }}{{ $.Value }}{{ end }}{{ template \"x\" . }}", "0.5"),
        (
            "{{ define \"x\" }}{{ .arg0 }}-{{ .arg1 }}{{ end }}{{ template \"x\" (args $labels.unit 3) }}",
            "nginx.service-3",
        ),
        ("{{ define \"x\" }}{{ .arg0 }}{{ .arg9 }}{{ end }}{{ template \"x\" (args 3) }}", "3<no value>"),
        ("{{ define \"x\" }}{{ . }}!{{ end }}{{ tmpl \"x\" \"hey\" | toUpper }}", "HEY!"),
        ("{{ template \"x\" 1 }}{{ define \"x\" }}later {{ . }}{{ end }}", "later 1"),
        ("{{ block \"x\" $labels.unit }}<{{ . }}>{{ end }}", "<nginx.service>"),
        ("{{ define \"x\" }}a{{ end }}{{ template \"x\" }}", "a"),
        (
            "{{ define \"a\" }}{{ template \"b\" . }}{{ end }}{{ define \"b\" }}b{{ . }}{{ end }}{{ template \"a\" 1 }}",
            "b1",
        ),
    ]);
}

#[test]
fn constants_have_types() {
    check(&[
        (
            "{{ 1 }} {{ 1.0 }} {{ 1e3 }} {{ 0x1F }} {{ -5 }} {{ +2.5 }} {{ 1_000 }} {{ 1e-3 }}",
            "1 1 1000 31 -5 2.5 1000 0.001",
        ),
        ("{{ eq 1 1 }} {{ eq 1.0 1.0 }} {{ eq \"a\" \"b\" \"a\" }} {{ eq true true }}", "true true true true"),
        ("{{ lt 1 2 }} {{ ge 2.5 2.5 }} {{ gt \"b\" \"a\" }} {{ le 3 2 }} {{ ne 1 2 }}", "true true true false true"),
        ("{{ gt $value 0.1 }} {{ lt $value 1.0 }}", "true true"),
        ("{{ eq nil nil }}", "true"),
        ("{{ \"tab\\there \\u00e9 \\x41 \\101 \\\"q\\\"\" }} {{ `raw\\n` }}", "tab\there é A A \"q\" raw\\n"),
        ("{{ len $labels }} {{ len \"abc\" }} {{ eq (len $labels) 3 }}", "3 3 true"),
        ("{{ and 1 0 2 }} {{ or 0 \"\" 7 }} {{ not 0 }} {{ or (eq 1 1) (eq 1 \"a\") }}", "0 7 true true"),
        ("{{ print 1 2 \"a\" 3 }} {{ println 1 \"b\" }}", "1 2a3 1 b\n"),
        ("{{ index (args 1 \"b\") \"arg1\" }} {{ slice \"abcdef\" 1 3 }} {{ slice \"abc\" 1 }}", "b bc bc"),
        ("{{ $labels }}", "map[instance:web-1.lan:9100 size:1536 unit:nginx.service]"),
        ("{{ (print \"a\" | toUpper) }} {{ ($labels).unit }} {{ $.Labels.unit }}", "A nginx.service nginx.service"),
    ]);
}

#[test]
fn texts_are_made_safe_for_other_languages() {
    check(&[
        ("{{ urlquery \"a b&c=é\" }} {{ html \"<a href='x'>&\" }}", "a+b%26c%3D%C3%A9 &lt;a href=&#39;x&#39;&gt;&amp;"),
        ("{{ js \"it's <b>\" }} {{ safeHtml \"<b>\" }}", "it\\'s \\u003Cb\\u003E <b>"),
        (
            "{{ graphLink \"up == 0\" }} {{ tableLink \"up\" }}",
            "/graph?g0.expr=up+%3D%3D+0&g0.tab=0 /graph?g0.expr=up&g0.tab=1",
        ),
        (
            "{{ stripDomain \"10.0.0.1:80\" }} {{ stripDomain \"db.x.lan\" }} {{ stripPort \"[::1]:80\" }}",
            "10.0.0.1:80 db ::1",
        ),
    ]);
}

#[test]
fn times_and_durations() {
    check(&[
        ("{{ humanizeTimestamp 1709212062.5 }}", "2024-02-29 13:07:42.5 +0000 UTC"),
        ("{{ 0 | humanizeTimestamp }} {{ \"NaN\" | humanizeTimestamp }}", "1970-01-01 00:00:00 +0000 UTC NaN"),
        ("{{ toTime -1 }} {{ toTime 86399.999 }}", "1969-12-31 23:59:59 +0000 UTC 1970-01-01 23:59:59.999 +0000 UTC"),
        (
            "{{ parseDuration \"1h30m\" }} {{ toDuration 3661.5 }} {{ toDuration 0.25 }} {{ toDuration 0 }}",
            "5400 1h1m1.5s 250ms 0s",
        ),
        ("{{ toDuration -61 }} {{ toDuration 5 }}", "-1m1s 5s"),
    ]);
}
