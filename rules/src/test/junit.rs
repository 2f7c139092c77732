//! A report as JUnit's XML, which build servers show.
//!
//! A test file is a `testsuite`, a test a `testcase`; what kept tests from running is a suite of its own, with an `error` each.
//! Durations are left out: nothing here reads a clock.

use std::fmt::Write;

use super::report::{Failure, FileReport, Report};

/// The report as one XML document.
pub fn junit(report: &Report) -> String {
    let tests = report.tests().count();
    let failures = report.tests().filter(|test| !test.failures.is_empty()).count();
    let errors = report.faults.count();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    line(
        &mut out,
        0,
        &format!("<testsuites tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\">", tests + errors),
    );
    report.files.iter().for_each(|file| suite(&mut out, file));
    if errors > 0 {
        faults(&mut out, report);
    }
    line(&mut out, 0, "</testsuites>");
    out
}

fn suite(out: &mut String, file: &FileReport) {
    let name = escaped(&file.file);
    let failed = file.tests.iter().filter(|test| !test.failures.is_empty()).count();
    let tests = file.tests.len();
    line(out, 1, &format!("<testsuite name=\"{name}\" tests=\"{tests}\" failures=\"{failed}\" errors=\"0\">"));
    for test in &file.tests {
        let case = format!("<testcase classname=\"{name}\" file=\"{name}\" name=\"{}\"", escaped(&test.name));
        if test.failures.is_empty() {
            line(out, 2, &format!("{case}/>"));
            continue;
        }
        line(out, 2, &format!("{case}>"));
        for failure in &test.failures {
            let text = told(&file.file, failure);
            line(out, 3, &format!("<failure message=\"{}\">{}</failure>", escaped(&failure.what), escaped(&text)));
        }
        line(out, 2, "</testcase>");
    }
    line(out, 1, "</testsuite>");
}

fn told(file: &str, failure: &Failure) -> String {
    let side = |name: &str, lines: &[String]| match lines {
        [] => format!("{name}: nothing else\n"),
        lines => lines.iter().map(|line| format!("{name}: {line}\n")).collect(),
    };
    format!("{file}:{}\n{}{}", failure.line, side("expected", &failure.expected), side("found", &failure.found))
}

fn faults(out: &mut String, report: &Report) {
    let errors = report.faults.count();
    line(out, 1, &format!("<testsuite name=\"faults\" tests=\"{errors}\" failures=\"0\" errors=\"{errors}\">"));
    for fault in &report.faults.faults {
        let name = escaped(&format!("{}:{}", fault.file, fault.line));
        line(out, 2, &format!("<testcase classname=\"faults\" file=\"{}\" name=\"{name}\">", escaped(&fault.file)));
        let message = escaped(&fault.message);
        line(out, 3, &format!("<error message=\"{message}\">{}</error>", escaped(&fault.to_string())));
        line(out, 2, "</testcase>");
    }
    line(out, 1, "</testsuite>");
}

fn line(out: &mut String, level: usize, text: &str) {
    writeln!(out, "{}{text}", "  ".repeat(level)).expect("a text takes everything");
}

/// Text and values of attributes; characters that XML 1.0 has not are shown as unreadable.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => out.push(c),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c if c.is_ascii_control() && c != '\u{7f}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
