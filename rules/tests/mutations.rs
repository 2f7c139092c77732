//! Whatever stands in a file, nothing panics and nothing takes long: seeded mutations of what is good, the same on every machine.
//!
//! A short run is part of the tests. `WATCHKEEP_MUTATIONS=1000000` makes it a long one, and `WATCHKEEP_SEED` another one;
//! what breaks names its seed and its text.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use watchkeep_rules::{format, load, packs, promql, template, test};

/// Mutations of each kind in a short run.
const SHORT: u64 = 400;
/// What reading one text may take, in a debug build on a busy machine; a blow-up takes minutes.
const READ_MAX: Duration = Duration::from_secs(10);
/// Characters that a mutation may grow to.
const TEXT_MAX: usize = 20_000;

/// What texts are made of, beside pieces of one another.
const PIECES: [&str; 40] = [
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    "{{",
    "}}",
    "\"",
    "'",
    "`",
    "\\",
    "\n",
    "\n  ",
    "- ",
    ": ",
    ",",
    "|",
    ">-\n",
    "&a ",
    "*a",
    "<<: ",
    "#",
    "$labels.",
    "end",
    "range ",
    " or ",
    " by (",
    " offset -",
    " @ ",
    "[5m:1m]",
    "=~\"",
    "1e999",
    "0x",
    "-",
    "é",
    "\u{2028}",
    "\0",
    "\t",
    "!!",
];

/// Numbers that follow from a seed (xorshift64*): no test draws others.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Below `bound`, which is not 0.
    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

fn setting(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).unwrap_or_default();
    if text.is_empty() { default } else { text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")) }
}

/// Takes out, doubles, brings in from another text or puts in a piece, one to eight times.
fn mutated(corpus: &[String], numbers: &mut Numbers) -> String {
    let mut chars: Vec<char> = corpus[numbers.below(corpus.len())].chars().collect();
    for _ in 0..=numbers.below(8) {
        let at = numbers.below(chars.len() + 1);
        let end = (at + numbers.below(24)).min(chars.len());
        match numbers.below(5) {
            0 => drop(chars.drain(at..end)),
            1 => {
                let again: Vec<char> = chars[at..end].to_vec();
                let times = 1 + numbers.below(40);
                let repeated = again.iter().copied().cycle().take(again.len() * times);
                chars.splice(at..at, repeated.collect::<Vec<_>>());
            }
            2 => {
                let other: Vec<char> = corpus[numbers.below(corpus.len())].chars().collect();
                let from = numbers.below(other.len() + 1);
                let to = (from + numbers.below(60)).min(other.len());
                chars.splice(at..end, other[from..to].iter().copied());
            }
            _ => drop(chars.splice(at..at, PIECES[numbers.below(PIECES.len())].chars())),
        }
        chars.truncate(TEXT_MAX);
    }
    chars.into_iter().collect()
}

/// Reads mutations of a corpus; `read` says what was wrong beyond a panic.
fn survive(corpus: &[String], read: impl Fn(&str) -> Result<(), String>) {
    assert!(corpus.len() > 10, "{} texts to begin with", corpus.len());
    let (count, first) = (setting("WATCHKEEP_MUTATIONS", SHORT), setting("WATCHKEEP_SEED", 1));
    for seed in first..first + count {
        let text = mutated(corpus, &mut Numbers(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1));
        let begun = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| read(&text)));
        let took = begun.elapsed();
        match outcome {
            Ok(Ok(())) if took <= READ_MAX => {}
            Ok(Ok(())) => panic!("seed {seed} took {took:?}: {text}"),
            Ok(Err(wrong)) => panic!("seed {seed}: {wrong}\n{text}"),
            Err(_) => panic!("seed {seed} panics: {text}"),
        }
    }
}

fn expressions() -> Vec<String> {
    let lines =
        include_str!("grammar/expressions.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.filter_map(|line| Some(line.split_once(' ')?.1.trim().to_owned())).collect()
}

/// All YAML files of the packs and of the folder `good`.
fn files() -> Vec<String> {
    let of_packs = packs::shipped().iter().flat_map(|pack| pack.files.iter().chain(pack.tests));
    let mut texts: Vec<String> = of_packs.map(|(_, text)| (*text).to_owned()).collect();
    let good = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/good");
    let mut paths: Vec<_> =
        std::fs::read_dir(good).expect("a folder of the tree").map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    texts.extend(paths.iter().map(|path| std::fs::read_to_string(path).expect("a file of the tree")));
    texts
}

fn templates() -> Vec<String> {
    let values = include_str!("templates/texts.txt").lines().filter(|line| line.contains("{{"));
    let values = values.map(str::to_owned);
    let shipped = files().join("\n");
    values.chain(shipped.lines().filter(|line| line.contains("{{")).map(str::to_owned)).collect()
}

#[test]
fn expressions_are_read_or_refused_where_they_stand() {
    survive(&expressions(), |text| match promql::parse(text) {
        Ok(expr) => {
            let written = promql::pretty_as_spelled(&expr, text);
            let again = promql::parse(&written).map_err(|faults| format!("set out as {written}: {faults:?}"))?;
            // Not a number is never equal to itself, so what was read is compared as it is written.
            if again.to_string() == expr.to_string() { Ok(()) } else { Err(format!("set out as {written}")) }
        }
        Err(faults) => match faults.iter().find(|fault| !text.is_char_boundary(fault.span.from)) {
            Some(fault) => Err(format!("a fault beyond the text: {fault:?}")),
            None => Ok(()),
        },
    });
}

#[test]
fn templates_are_rendered_or_refused_where_they_stand() {
    let labels = BTreeMap::from([("instance".to_owned(), "web-1:9100".to_owned()), ("job".to_owned(), String::new())]);
    survive(&templates(), |text| match template::render(text, &labels, 0.5) {
        Err(error) if error.at > text.len() || !text.is_char_boundary(error.at) => {
            Err(format!("a fault beyond the text: {error:?}"))
        }
        _ => Ok(()),
    });
}

#[test]
fn files_are_loaded_or_refused_where_they_stand() {
    survive(&files(), |text| {
        let _ = test::run_file("any.yaml", text, &Default::default(), None);
        let Err(faults) = load::load(&[("any.yaml".into(), text.to_owned())]) else { return Ok(()) };
        let lines = text.split('\n').count();
        match faults.faults.iter().find(|fault| fault.line > lines || fault.message.is_empty()) {
            Some(fault) => Err(format!("a fault beyond the file: {fault:?}")),
            None => Ok(()),
        }
    });
}

#[test]
fn files_are_set_out_alike_the_second_time() {
    survive(&files(), |text| {
        let written = match format::format("any.yaml", text) {
            Ok(written) => written,
            Err(faults) if faults.to_string().contains("without changing what it means") => {
                return Err(faults.to_string());
            }
            Err(_) => return Ok(()),
        };
        let again = format::format("any.yaml", &written).map_err(|faults| format!("{faults}\nin\n{written}"))?;
        if again == written { Ok(()) } else { Err(format!("first\n{written}\nthen\n{again}")) }
    });
}
