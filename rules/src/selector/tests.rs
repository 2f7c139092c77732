use super::*;
use crate::model::Condition;

fn labels(text: &str) -> BTreeMap<String, String> {
    text.split(' ')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[test]
fn a_selector_matches_as_prometheus_does() {
    // selector, labels, whether they match
    let table = [
        (r#"{}"#, "a=1", true),
        (r#"{kind="unit_failed"}"#, "kind=unit_failed", true),
        (r#"{kind="unit_failed"}"#, "kind=unit_recovered", false),
        (r#"{kind="unit_failed",}"#, "kind=unit_failed", true),
        (r#"{kind!="a"}"#, "kind=b", true),
        (r#"{kind!="a"}"#, "", true),
        (r#"{kind=""}"#, "", true),
        (r#"{kind!=""}"#, "", false),
        (r#"{unit=~"nginx.*"}"#, "unit=nginx.service", true),
        (r#"{unit=~"nginx"}"#, "unit=nginx.service", false),
        (r#"{unit=~"inx.*"}"#, "unit=nginx.service", false),
        (r#"{unit!~"user@.*"}"#, "unit=user@1000.service", false),
        (r#"{unit!~"user@.*"}"#, "unit=ssh.service", true),
        (r#"{unit=~"a|b"}"#, "unit=ab", false),
        (r#"{unit=~"a|b"}"#, "unit=b", true),
        (r#"{a="1", b='2', c=`3`}"#, "a=1 b=2 c=3", true),
        (r#"{a="1", b="3"}"#, "a=1 b=2", false),
        (r#"{a=~"\\d+"}"#, "a=42", true),
        (r#"{a=~"\\d+"}"#, "a=٤٢", false),
        (r#"{a=~"\\w"}"#, "a=é", false),
        (r#"{a=~"."}"#, "a=é", true),
        (r#"{a=~`[[]x`}"#, "a=[x", true),
        (r#"{a=~`[\w.-]+`}"#, "a=nginx-1.service", true),
        (r#"{a=~`\Qa.b\E+`}"#, "a=a.bbb", true),
        (r#"{a=~`\Qa.b\E`}"#, "a=axb", false),
        (r#"{a=~`[[:digit:]]+`}"#, "a=42", true),
        (r#"{a=~`(?i)NGINX`}"#, "a=nginx", true),
        (r#"{a=~`\101\07?`}"#, "a=A", true),
        (r#"{a=~`\x{e9}\p{Greek}`}"#, "a=éα", true),
        (r#"{a=~`x{,2}`}"#, "a=x{,2}", true),
        (r#"{a=~`x{1,2}?{`}"#, "a=xx{", true),
        (r#"{a=~`[+--]`}"#, "a=,", true),
        (r#"{a=~`[+--]`}"#, "a=+", true),
        (r#"{a="\x41\u00e9\n"}"#, "b=1", false),
        (r#"{"a.b"="c"}"#, "a.b=c", true),
    ];
    for (selector, given, expected) in table {
        let parsed = Selector::parse(selector).expect(selector);
        let given_labels = labels(given);
        assert_eq!(parsed.matches(&given_labels), expected, "{selector} on {given}");
        let compiled = Compiled::new(&parsed).expect(selector);
        assert_eq!(compiled.matches(&given_labels), expected, "compiled {selector} on {given}");
    }
}

#[test]
fn a_dot_takes_a_newline() {
    let selector = Selector::parse(r#"{text=~"a.b"}"#).expect("selector");
    assert!(selector.matches(&BTreeMap::from([("text".to_owned(), "a\nb".to_owned())])));
}

#[test]
fn escapes_are_resolved() {
    let selector = Selector::parse(r#"{a="\x41\u00e9\n\"\\\101", b='\'', c=`\n`}"#).expect("selector");
    let values: Vec<&str> = selector.matchers.iter().map(|matcher| matcher.value.as_str()).collect();
    assert_eq!(values, ["Aé\n\"\\A", "'", "\\n"]);
}

#[test]
fn what_is_written_reads_back() {
    for text in [r#"{}"#, r#"{kind="unit_failed", unit=~"a.*", b!="c", d!~"\\d\"\n"}"#, r#"{"a.b"="c"}"#] {
        let parsed = Selector::parse(text).expect(text);
        assert_eq!(parsed.to_string(), text);
    }
}

#[test]
fn a_selector_that_takes_everything_is_known() {
    for (text, expected) in [("{}", true), (r#"{a=~".*"}"#, true), (r#"{a=~".+"}"#, false), (r#"{a!="b"}"#, true)] {
        assert_eq!(Selector::parse(text).expect(text).takes_everything(), expected, "{text}");
    }
}

#[test]
fn a_broken_selector_says_where_and_why() {
    // text, offset of the fault, part of the message
    let table = [
        ("", 0, "begins with '{'"),
        ("kind=\"a\"", 0, "begins with '{'"),
        ("{kind}", 5, "=, !=, =~ or !~ is expected after the label \"kind\""),
        ("{kind=a}", 6, "must be quoted: kind=\"a\""),
        ("{kind=\"a\"", 9, "',' or '}' is expected"),
        ("{kind=\"a\" x=\"b\"}", 10, "',' or '}' is expected"),
        ("{kind=\"a", 6, "no closing \""),
        ("{kind==\"a\"}", 5, "a single '='"),
        ("{kind=~\"a(\"}", 7, "does not compile: unclosed group"),
        ("{kind=~\"a**\"}", 7, "a repetition cannot be repeated: *"),
        ("{kind=~\"a{2}{3}\"}", 7, "cannot be repeated: {3}"),
        ("{kind=~\"a{1001}\"}", 7, "1001 repetitions are more than 1000"),
        ("{kind=~\"(?x)a b\"}", 7, "there is no flag 'x'"),
        ("{kind=~\"[a--]\"}", 7, "does not compile"),
        ("{kind=~\"(a)\\\\1\"}", 7, "does not compile"),
        ("{kind=~\"a)(b\"}", 7, "does not compile: unopened group"),
        ("{kind=\"\\q\"}", 7, "\\q is no escape"),
        ("{kind=\"\\u12\"}", 7, "needs 4 digits"),
        ("{kind=$host}", 6, "$host is not bound here"),
        ("{kind=\"a\"} or", 11, "nothing is expected after"),
        ("{a:b=\"c\"}", 1, "no label name"),
        ("{kind=\"a\" ; }", 10, "';' is not expected here"),
        ("{", 1, "no closing '}'"),
    ];
    for (text, at, part) in table {
        let error = Selector::parse(text).expect_err(text);
        assert!(error.message.contains(part), "{text}: {error}");
        assert_eq!(error.at, at, "{text}: {error}");
    }
}

#[test]
fn a_condition_keeps_its_bindings() {
    let text = r#"node_systemd_unit_state{instance=$host, name=$unit, state="active"} == 1"#;
    let condition = Condition::parse(text).expect(text);
    assert_eq!(condition.metric, "node_systemd_unit_state");
    assert_eq!((condition.op.as_str(), condition.value), ("==", 1.0));
    assert_eq!(condition.matchers.matchers[0].value, "$host");
    assert_eq!(condition.bindings(), ["host", "unit"]);
    assert_eq!(condition.bind(|_| None), Err("host".to_owned()));
    let bound = condition.bind(|name| Some(format!("<{name}>"))).expect("all names have values");
    assert_eq!(bound.to_string(), r#"{instance="<host>", name="<unit>", state="active"}"#);
}

#[test]
fn a_condition_holds_by_its_comparison() {
    let table = [
        ("up == 1", 1.0, true),
        ("up == 1", 0.0, false),
        ("up != 1", f64::NAN, true),
        ("up < -1.5e3", -2000.0, true),
        ("up <= 0x10", 16.0, true),
        ("up > 1_000", 1000.0, false),
        ("up >= +Inf", f64::INFINITY, true),
        ("up == 1", f64::NAN, false),
    ];
    for (text, sample, expected) in table {
        assert_eq!(Condition::parse(text).expect(text).holds(sample), expected, "{text} with {sample}");
    }
}

#[test]
fn other_promql_is_refused_by_a_sentence() {
    let table = [
        ("", 0, "the condition is empty"),
        ("{a=\"b\"} == 1", 0, "metric's name is missing"),
        ("rate(x[5m]) > 1", 4, "wait_for takes SELECTOR OP NUMBER so far"),
        ("sum by (x) (up) == 1", 4, "wait_for takes SELECTOR OP NUMBER so far"),
        ("up == 1 and up == 2", 8, "wait_for takes SELECTOR OP NUMBER so far"),
        ("up == 5m", 6, "\"5m\" is no number"),
        ("up == foo", 6, "wait_for takes SELECTOR OP NUMBER so far"),
        ("up offset 5m == 1", 3, "wait_for takes SELECTOR OP NUMBER so far"),
        ("up", 2, "a comparison is missing"),
        ("up ==", 5, "a number is missing"),
        ("up = 1", 3, "compared by '=='"),
        ("up{a=\"$host\"} == 1", 5, "write $host without quotes"),
        ("up{a=~$host} == 1", 6, "compare it by = or !="),
    ];
    for (text, at, part) in table {
        let error = Condition::parse(text).expect_err(text);
        assert!(error.message.contains(part), "{text}: {error}");
        assert_eq!(error.at, at, "{text}: {error}");
    }
}
