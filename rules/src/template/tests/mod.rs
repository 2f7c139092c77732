mod blocks;
mod queries;
mod verbs;

use super::*;

fn labels() -> BTreeMap<String, String> {
    [("instance", "web-1.lan:9100"), ("unit", "nginx.service"), ("size", "1536")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

#[test]
fn a_template_renders_as_prometheus_does() {
    // template, value, what comes of it
    let table = [
        ("plain", 0.0, "plain"),
        ("{{ $labels.unit }} on {{ .Labels.instance }}", 0.0, "nginx.service on web-1.lan:9100"),
        ("{{ $labels.nothing }}!", 0.0, "!"),
        ("{{ $value }} {{ .Value }}", 0.5, "0.5 0.5"),
        ("{{ $value }}", 1_000_000.0, "1e+06"),
        ("{{ $value }}", 123_456_789.0, "1.23456789e+08"),
        ("{{ $value }}", 3.0, "3"),
        ("{{ $value | humanize }}", 1_234_567.0, "1.235M"),
        ("{{ $value | humanize }}", 0.001_25, "1.25m"),
        ("{{ $value | humanize1024 }}", 1536.0, "1.5ki"),
        ("{{ $labels.size | humanize1024 }}", 0.0, "1.5ki"),
        ("{{ $value | humanizePercentage }}", 0.083_333, "8.333%"),
        ("{{ humanizeDuration $value }}", 90_061.0, "1d 1h 1m 1s"),
        ("{{ humanizeDuration $value }}", 3661.0, "1h 1m 1s"),
        ("{{ humanizeDuration $value }}", -61.5, "-1m 1s"),
        ("{{ humanizeDuration $value }}", 12.345_67, "12.35s"),
        ("{{ humanizeDuration $value }}", 0.012, "12ms"),
        ("{{ humanizeDuration $value }}", f64::INFINITY, "+Inf"),
        ("{{ $labels.unit | toUpper }}", 0.0, "NGINX.SERVICE"),
        ("{{ \"hello wide world\" | title }}", 0.0, "Hello Wide World"),
        ("{{ reReplaceAll \"(.*)[.]service\" \"unit $1\" $labels.unit }}", 0.0, "unit nginx"),
        ("{{ $labels.unit | reReplaceAll `\\.service$` `` }}", 0.0, "nginx"),
        ("{{ printf \"%.2f of %s, %d%%\" $value $labels.unit 7 }}", 1.005_5, "1.01 of nginx.service, 7%"),
        ("{{ $value | printf \"%.1f\" }}", 2.25, "2.2"),
        ("[{{ printf \"%5d|%-4s|%05.1f\" 42 \"a\" -1.5 }}]", 0.0, "[   42|a   |-01.5]"),
        ("{{ if eq $labels.unit \"nginx.service\" }}web{{ else }}other{{ end }}", 0.0, "web"),
        ("{{ if gt $value 10.0 }}high{{ else if gt $value 5.0 }}mid{{ else }}low{{ end }}", 7.0, "mid"),
        ("{{ if and (ge $value 1.0) (not (eq $labels.unit \"x\")) }}yes{{ end }}", 1.0, "yes"),
        ("{{ if $labels.nothing }}a{{ end }}b", 0.0, "b"),
        ("{{ with $labels.unit }}<{{ . }}>{{ end }}", 0.0, "<nginx.service>"),
        ("{{ $name := $labels.unit | toUpper }}{{ $name }}", 0.0, "NGINX.SERVICE"),
        ("a {{- /* said to the author */ -}} b", 0.0, "ab"),
        ("a  {{- $value -}}  b", 1.0, "a1b"),
        ("{{ index $labels \"unit\" }}", 0.0, "nginx.service"),
        ("{{ $labels.instance | stripPort }} {{ stripDomain $labels.instance }}", 0.0, "web-1.lan web-1:9100"),
        ("{{ if match \"^nginx\" $labels.unit }}y{{ end }}", 0.0, "y"),
        ("{{ or $labels.nothing \"nobody\" }}", 0.0, "nobody"),
    ];
    for (text, value, expected) in table {
        assert_eq!(render(text, &labels(), value).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn a_fault_is_found_on_reading_with_its_place() {
    // template, byte, part of the message, near word
    let table = [
        (
            "x {{ $value | humanisePercentage }}",
            14,
            "unknown template function 'humanisePercentage'",
            Some("humanizePercentage"),
        ),
        ("{{ $lables.unit }}", 3, "unknown variable '$lables'", Some("$labels")),
        ("{{ $value", 0, "no closing '}}'", None),
        ("{{ }}", 3, "the action is empty", None),
        ("{{ if $value }}a", 3, "no '{{ end }}'", None),
        ("a{{ end }}", 4, "'end' without an 'if'", None),
        ("{{ if $value }}a{{ else }}b{{ else }}c{{ end }}", 30, "a second 'else'", None),
        ("{{ range $labels }}a", 3, "no '{{ end }}'", None),
        ("{{ define \"x\" }}a", 3, "no '{{ end }}'", None),
        ("{{ if $value }}{{ define \"x\" }}{{ end }}{{ end }}", 18, "'define' stands at the top", None),
        ("{{ define x }}{{ end }}", 10, "name is expected here, in quotes", None),
        ("{{ define \"x\" }}{{ $labels.a }}{{ end }}", 19, "unknown variable '$labels'", None),
        ("{{ break }}", 3, "within 'range' only", None),
        ("{{ range $a, $b }}{{ end }}", 13, "':=' is expected", None),
        ("{{ $x = 5 }}", 3, "unknown variable '$x'", None),
        ("{{ if $x := 5 }}{{ end }}{{ $x }}", 28, "unknown variable '$x'", None),
        ("{{ range $x := query \"up\" }}{{ end }}{{ $x }}", 40, "unknown variable '$x'", None),
        ("{{ $ := 5 }}", 3, "a variable needs a name", None),
        ("{{ printf \"%s\" query }}", 15, "put 'query …' in parentheses", None),
        ("{{ 5x }}", 3, "\"5x\" is no number", None),
        ("{{ \"a\\qb\" }}", 5, "\\q is no escape here", None),
        ("{{ 'ab' }}", 3, "single quotes hold one character", None),
        ("{{ '' }}", 3, "a character is expected", None),
        ("{{ 0o9 }}", 3, "\"0o9\" is no number", None),
        ("{{ eq (print $value \"a\" }}", 6, "this parenthesis is not closed", None),
        ("{{ \"abc }}", 3, "is not closed", None),
        ("{{ $value | 5 }}", 12, "a function is expected after '|'", None),
        ("{{ $value ; }}", 10, "';' is not expected", None),
        ("{{ /* open }}", 0, "no '*/'", None),
    ];
    for (text, at, part, near) in table {
        let error = Template::parse(text).expect_err(text);
        assert!(error.message.contains(part), "{text}: {error}");
        assert_eq!((error.at, error.near.as_deref()), (at, near), "{text}: {error}");
    }
}

#[test]
fn what_only_rendering_can_know_is_an_error_then() {
    let table = [
        (
            "{{ $labels.unit | humanize }}",
            "error calling humanize: strconv.ParseFloat: parsing \"nginx.service\": invalid syntax",
        ),
        ("{{ if eq $value $labels.unit }}{{ end }}", "error calling eq: incompatible types for comparison"),
        ("{{ if gt $value 100 }}{{ end }}", "error calling gt: incompatible types for comparison"),
        ("{{ if lt true false }}{{ end }}", "invalid type for comparison"),
        ("{{ printf \"%99999d\" $value }}", "too wide"),
        ("{{ printf \"%*d\" $value 5 }}", "'*' of a printf takes an int"),
        ("{{ reReplaceAll \"(\" \"\" $labels.unit }}", "does not compile"),
        ("{{ with $labels.unit }}{{ .Value }}{{ end }}", "can't evaluate field Value in type string"),
        ("{{ $value.x }}", "can't evaluate field x in type float64"),
        ("{{ range $value }}{{ end }}", "range can't iterate over 1"),
        ("{{ .Lables.unit }}", "can't evaluate field Lables in type struct { Labels map[string]string; "),
        ("{{ template \"case\" }}", "template \"case\" not defined"),
        ("{{ humanize }}", "wrong number of args for humanize: want 1 got 0"),
        ("{{ printf }}", "wrong number of args for printf: want at least 1 got 0"),
        ("{{ eq $value }}", "error calling eq: missing argument for comparison"),
        ("{{ eq $labels 1 }}", "error calling eq: non-comparable type map["),
        ("{{ nil }}", "nil is not a command"),
        ("{{ toUpper nil }}", "cannot assign nil to string"),
        ("{{ toUpper 5 }}", "expected string; found 5"),
        ("{{ value 5 }}", "can't handle 5 for arg of type *template.sample"),
        ("{{ toUpper $value }}", "expected string; got float64"),
        ("{{ query \"up\" | first }}", "there are no samples to ask here"),
        ("{{ first $labels }}", "wrong type for value; expected template.queryResult; got map[string]string"),
        ("{{ index \"ab\" 5 }}", "index out of range: 5"),
        ("{{ slice \"ab\" 1 5 }}", "index out of range: 5"),
        ("{{ tmpl \"x\" 5 }}", "template \"x\" not defined"),
        ("{{ toTime 1e30 }}", "cannot be represented"),
        ("{{ len 5 }}", "len of type int"),
    ];
    for (text, part) in table {
        let error = render(text, &labels(), 1.0).expect_err(text);
        assert!(error.message.contains(part), "{text}: {error}");
        assert!(error.at > 0, "{text}: {error:?} has no place");
    }
}

#[test]
fn rendering_is_bounded() {
    let many: String = "{{ range $labels }}".repeat(25) + "{{ $x := 1 }}" + &"{{ end }}".repeat(25);
    let endless = "{{ define \"x\" }}{{ template \"x\" . }}{{ end }}{{ template \"x\" . }}";
    let table = [(many.as_str(), "more than 100000 actions"), (endless, "more than 64 deep")];
    for (text, part) in table {
        let error = render(text, &labels(), 1.0).expect_err(text);
        assert!(error.message.contains(part), "{text}: {error}");
    }
}

#[test]
fn the_rendered_text_is_bounded() {
    let long = BTreeMap::from([("unit".to_owned(), "x".repeat(RENDERED_BYTES_MAX))]);
    let error = render("{{ $labels.unit }}{{ $labels.unit }}", &long, 0.0).expect_err("too long");
    assert!(error.message.contains("longer than"), "{error}");
}

#[test]
fn labels_are_named_with_their_places() {
    let text = "{{ $labels.a }}{{ if eq .Labels.b \"x\" }}{{ index $labels \"c\" | toUpper }}{{ end }}";
    let template = Template::parse(text).expect(text);
    let found = template.labels();
    assert_eq!(found.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["a", "b", "c"]);
    assert!(found.iter().all(|(name, at)| text[*at..].starts_with(name)), "{found:?}");
}

#[test]
fn what_fails_stands_in_the_text_in_prometheus_s_words() {
    // template, line and column of the whole that Prometheus expands, template's name and part at fault
    let table = [
        ("{{ gt $value 100 }}", "1:115", "__alert_Slow", "gt $value 100"),
        ("a\nb {{ gt   $value\n ( len  \"a  b\" ) }}", "2:5", "__alert_Slow", "gt $value (len \"a  b\")"),
        ("{{ title $labels.unit.x }}", "1:128", "__alert_Slow", "$labels.unit.x"),
        ("{{ 5 | title }}", "1:119", "__alert_Slow", "title"),
        ("{{ define \"x\" }}{{ len . }}{{ end }}{{ template \"x\" 5 }}", "1:131", "x", "len ."),
    ];
    for (text, place, within, node) in table {
        let template = Template::parse(text).expect(text);
        let error = template.render(&labels(), 1.0).expect_err(text);
        let expected = format!(
            "<error expanding template: error executing template __alert_Slow: template: __alert_Slow:{place}: executing \
             \"{within}\" at <{node}>: {error}>"
        );
        assert_eq!(template.failed("Slow", &error), expected, "{text}");
    }
}
