//! `printf`, as Go's `fmt` writes.

use super::*;

#[test]
fn verbs_have_flags_widths_and_precisions() {
    // arguments of printf, what comes of it
    let table = [
        (r#""%v %v %v %v" 1 1.5 "a" true"#, "1 1.5 a true"),
        (r#""%v" 1e21"#, "1e+21"),
        (r#""%d|%5d|%-5d|%05d|%+d|% d" 42 42 42 42 42 42"#, "42|   42|42   |00042|+42| 42"),
        (r#""%d|%05d|%.4d" -42 -42 -42"#, "-42|-0042|-0042"),
        (r#""%x|%X|%#x|%o|%b|%c|%U" 255 255 255 8 5 65 233"#, "ff|FF|0xff|10|101|A|U+00E9"),
        (
            r#""%f|%.2f|%8.2f|%-8.2f|%08.2f|%+.1f" 1.5 1.005 1.5 1.5 -1.5 1.5"#,
            "1.500000|1.00|    1.50|1.50    |-0001.50|+1.5",
        ),
        (
            r#""%e|%.1e|%E|%g|%.3g|%G" 1500.0 1500.0 1500.0 1500000.0 1234.5 1500000.0"#,
            "1.500000e+03|1.5e+03|1.500000E+03|1.5e+06|1.23e+03|1.5E+06",
        ),
        (r#""%s|%5s|%-5s|%.2s|%q|%x" "abc" "abc" "abc" "abc" "a\"b" "az""#, "abc|  abc|abc  |ab|\"a\\\"b\"|617a"),
        (r#""%t|%6t" true false"#, "true| false"),
        (r#""100%%""#, "100%"),
        (r#""%*d|%.*f" 5 42 1 2.25"#, "   42|2.2"),
        // What does not fit is said in the text and fails nothing.
        (r#""%d" 0.5"#, "%!d(float64=0.5)"),
        (r#""%s" 5"#, "%!s(int=5)"),
        (r#""%f" 5"#, "%!f(int=5)"),
        (r#""%.1f" "x""#, "%!f(string=x)"),
        (r#""%y" 5"#, "%!y(int=5)"),
        (r#""%s and %s" "a""#, "a and %!s(MISSING)"),
        (r#""%s" "a" 5 "b""#, "a%!(EXTRA int=5, string=b)"),
        (r#""50%" "#, "50%!(NOVERB)"),
        (r#""%s %v" nil nil"#, "%!s(<nil>) <nil>"),
        (r#""%T %T|%+v|%#v" 1 "a" 5 "b""#, "int string|5|\"b\""),
        (r#""%[2]s %[1]s|%[2]s" "a" "b""#, "b a|b"),
        (r#""%[3]d" 1"#, "%!d(BADINDEX)"),
        (r#""% x|%#b|%+q|%#q|%#U" "hi" 5 "é" "a" 9731"#, "68 69|0b101|\"\\u00e9\"|`a`|U+2603 '☃'"),
    ];
    for (arguments, expected) in table {
        let text = format!("{{{{ printf {arguments} }}}}");
        assert_eq!(render(&text, &labels(), 0.0).as_deref(), Ok(expected), "{text}");
    }
}

#[test]
fn what_is_no_finite_number_is_written_with_its_sign() {
    for (verb, inf, negative, nan) in [
        ("%v", "+Inf", "-Inf", "NaN"),
        ("%.2f", "+Inf", "-Inf", "NaN"),
        ("%6.1f", "  +Inf", "  -Inf", "   NaN"),
        ("%06.1f", "  +Inf", "  -Inf", "   NaN"),
        ("%+e", "+Inf", "-Inf", "+NaN"),
    ] {
        let text = format!("{{{{ printf \"{verb}\" $value }}}}");
        for (value, expected) in [(f64::INFINITY, inf), (f64::NEG_INFINITY, negative), (f64::NAN, nan)] {
            assert_eq!(render(&text, &labels(), value).as_deref(), Ok(expected), "{text} of {value}");
        }
    }
}
