//! Arithmetic, comparisons, set operators and matching.

use super::*;

#[test]
fn scalars_are_reckoned_as_in_c() {
    check(
        &samples(&[]),
        0,
        &[
            ("1 + 2 * 3", "7"),
            ("-1 ^ 2", "-1"),
            ("2 ^ 3 ^ 2", "512"),
            ("5 % 3", "2"),
            ("-5 % 3", "-2"),
            ("5 % -3", "2"),
            ("5.5 % 2", "1.5"),
            ("1 / 0", "inf"),
            ("-1 / 0", "-inf"),
            ("0 / 0", "NaN"),
            ("1 % 0", "NaN"),
            ("1 atan2 1", "0.7853981633974483"),
            ("0 atan2 -1", "3.141592653589793"),
            ("1 == bool 1", "1"),
            ("1 != bool 1", "0"),
            ("1 < bool 2", "1"),
            ("2 <= bool 1", "0"),
            ("NaN == bool NaN", "0"),
            ("NaN != bool NaN", "1"),
            ("1 > bool 0 > bool 0", "1"),
        ],
    );
}

#[test]
fn a_scalar_beside_a_vector_works_on_each_element() {
    let memory = samples(&[r#"m{a="1"} 1"#, r#"m{a="2"} 2"#, r#"m{a="n"} NaN"#]);
    check(
        &memory,
        0,
        &[
            ("m * 2", r#"{a="1"} 2; {a="2"} 4; {a="n"} NaN"#),
            ("3 - m", r#"{a="1"} 2; {a="2"} 1; {a="n"} NaN"#),
            // A filter keeps the vector's value and name, on whichever side the vector stands; NaN only passes !=.
            ("m > 1", r#"m{a="2"} 2"#),
            ("1 < m", r#"m{a="2"} 2"#),
            ("m != 1", r#"m{a="2"} 2; m{a="n"} NaN"#),
            ("m == 2", r#"m{a="2"} 2"#),
            ("m >= bool 2", r#"{a="1"} 0; {a="2"} 1; {a="n"} 0"#),
            ("2 <= bool m", r#"{a="1"} 0; {a="2"} 1; {a="n"} 0"#),
            ("-m", r#"{a="1"} -1; {a="2"} -2; {a="n"} NaN"#),
            ("+m > 1", r#"m{a="2"} 2"#),
            (r#"m{a="1"} / 0"#, r#"{a="1"} inf"#),
        ],
    );
}

#[test]
fn one_to_one_matches_by_all_labels_or_those_named() {
    let memory = samples(&[
        r#"used{host="a", disk="x"} 30"#,
        r#"used{host="b", disk="x"} 10"#,
        r#"used{host="c", disk="x"} 5"#,
        r#"size{host="a", disk="x"} 60"#,
        r#"size{host="b", disk="x"} 100"#,
        r#"limit{host="a"} 20"#,
        r#"limit{host="b"} 20"#,
    ]);
    check(
        &memory,
        0,
        &[
            ("used / size", r#"{disk="x", host="a"} 0.5; {disk="x", host="b"} 0.1"#),
            // Of one-to-one matches the labels that counted stay.
            ("used - on (host) limit", r#"{host="a"} 10; {host="b"} -10"#),
            ("used - ignoring (disk) limit", r#"{host="a"} 10; {host="b"} -10"#),
            // A comparison keeps the left value, and the name unless on() takes it.
            ("used > ignoring (disk) limit", r#"used{host="a"} 30"#),
            ("used > on (host) limit", r#"{host="a"} 30"#),
            ("used > bool on (host) limit", r#"{host="a"} 1; {host="b"} 0"#),
            ("used < size", r#"used{disk="x", host="a"} 30; used{disk="x", host="b"} 10"#),
            ("used + nothing", ""),
            ("sum(used) + on () sum(size)", "{} 205"),
        ],
    );
    check_refused(
        &memory,
        0,
        &[
            ("used + on (disk) nothing or used + on (disk) size", "found duplicate series for the match group", "+"),
            ("limit + on () vector(1)", "many-to-one matching must be explicit (group_left/group_right)", "+"),
            // Even where the comparison would have dropped all but one.
            ("limit > on () vector(100)", "many-to-one matching must be explicit", ">"),
        ],
    );
    // Nothing to match on one side: the other is not looked at.
    check(&memory, 0, &[("nothing + on (disk) size", ""), ("size + on (disk) nothing", "")]);
}

#[test]
fn group_left_matches_many_to_one_and_takes_labels_over() {
    let memory = samples(&[
        r#"cpu{host="a", core="0"} 1"#,
        r#"cpu{host="a", core="1"} 2"#,
        r#"cpu{host="b", core="0"} 4"#,
        r#"info{host="a", os="deb", core="all"} 10"#,
        r#"info{host="b", core="all"} 100"#,
    ]);
    let plain = r#"{core="0", host="a"} 10; {core="0", host="b"} 400; {core="1", host="a"} 20"#;
    let with_os = r#"{core="0", host="a", os="deb"} 10; {core="0", host="b"} 400; {core="1", host="a", os="deb"} 20"#;
    check(
        &memory,
        0,
        &[
            ("cpu * on (host) group_left info", plain),
            ("cpu * on (host) group_left (os) info", with_os),
            ("info * on (host) group_right (os) cpu", with_os),
            ("cpu * ignoring (core, os) group_left (os) info", with_os),
            // A filter keeps the left value and, on the many side, all labels with the name.
            (
                "cpu < on (host) group_left info",
                r#"cpu{core="0", host="a"} 1; cpu{core="0", host="b"} 4; cpu{core="1", host="a"} 2"#,
            ),
            (
                "info > on (host) group_right cpu",
                r#"cpu{core="0", host="a"} 10; cpu{core="0", host="b"} 100; cpu{core="1", host="a"} 10"#,
            ),
            ("info - on (host) group_right cpu > 95", r#"{core="0", host="b"} 96"#),
        ],
    );
    check_refused(
        &memory,
        0,
        &[
            ("cpu * on (host) group_left (core) info", "grouping labels must ensure unique matches", "*"),
            ("info * on (host) group_left cpu", "right hand-side", "*"),
            ("cpu * on (host) group_right info", "left hand-side", "*"),
            ("cpu > on (host) group_left (core) (info * 1000)", "grouping labels must ensure unique matches", ">"),
        ],
    );
}

#[test]
fn an_included_label_that_the_one_side_lacks_is_deleted() {
    let memory = samples(&[r#"cpu{host="a", os="old"} 2"#, r#"info{host="a"} 10"#]);
    check(&memory, 0, &[("cpu * on (host) group_left (os) info", r#"{host="a"} 20"#)]);
}

#[test]
fn set_operators_look_at_labels_without_the_name() {
    let memory =
        samples(&[r#"a{x="1"} 1"#, r#"a{x="2"} 2"#, r#"b{x="2"} 20"#, r#"b{x="3"} 30"#, r#"c{x="2", y="z"} 200"#]);
    check(
        &memory,
        0,
        &[
            ("a and b", r#"a{x="2"} 2"#),
            ("a unless b", r#"a{x="1"} 1"#),
            ("a or b", r#"a{x="1"} 1; a{x="2"} 2; b{x="3"} 30"#),
            ("a and on (x) c", r#"a{x="2"} 2"#),
            ("a and ignoring (y) c", r#"a{x="2"} 2"#),
            ("a unless on () c", ""),
            ("a and on () vector(0)", r#"a{x="1"} 1; a{x="2"} 2"#),
            ("a or on () c", r#"a{x="1"} 1; a{x="2"} 2"#),
            ("nothing or c", r#"c{x="2", y="z"} 200"#),
            ("a and nothing", ""),
            ("a unless nothing", r#"a{x="1"} 1; a{x="2"} 2"#),
            // Many to many is what they are for.
            ("(a or b) and on () (a or b)", r#"a{x="1"} 1; a{x="2"} 2; b{x="3"} 30"#),
            // `unless` and `and` bind tighter than `or`.
            ("a or b unless b", r#"a{x="1"} 1; a{x="2"} 2"#),
        ],
    );
}
