use super::*;

const BOUNDS: Bounds = Bounds { series: 100, blocks: 8, bytes: 10_000 };

fn book(bounds: Bounds) -> Book {
    Book::new(vec![("instance".to_owned(), "h:1".to_owned())], bounds)
}

/// Puts series written as `name a=1 b=2 value`.
fn put(book: &mut Book, series: &[&str]) {
    for text in series {
        let words: Vec<&str> = text.split(' ').collect();
        let (name, labels, value) = (words[0], &words[1..words.len() - 1], words[words.len() - 1]);
        let pair = |label: &&str| label.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        let labels: Vec<(String, String)> = labels.iter().filter_map(pair).collect();
        let value = value.parse().expect("a number");
        book.put(Sample { name, labels: &labels, kind: MetricKind::Gauge, help: "", value });
    }
}

/// One good reading; whether the blocks are others.
fn read(book: &mut Book, series: &[&str]) -> bool {
    book.begin();
    put(book, series);
    book.end()
}

/// The blocks with what they say: columns, then rows of label values and values; `-` failed, `x` ended.
fn shown(book: &Book) -> Vec<String> {
    let page = |(block, row): (&Block, &Row)| {
        let columns: Vec<&str> = block.template.metrics.iter().map(|metric| metric.name.as_str()).collect();
        let mut text = columns.join(",");
        for (place, instance) in block.instances.iter().enumerate() {
            let cell = |column: usize| match row.flags[place * columns.len() + column] {
                0 => row.values[place * columns.len() + column].to_string(),
                1 => "-".to_owned(),
                _ => "x".to_owned(),
            };
            let cells: Vec<String> = (0..columns.len()).map(cell).collect();
            text += &format!(" | {}: {}", instance.values[1..].join(" "), cells.join(" "));
        }
        text
    };
    book.pages().map(page).collect()
}

#[test]
fn metrics_with_the_same_rows_share_a_block() {
    let mut book = book(BOUNDS);
    let series = ["up 1", "down 0", "rx dev=a 1", "rx dev=b 2", "tx dev=a 3", "tx dev=b 4", "err dev=a 5"];
    assert!(read(&mut book, &series));
    assert_eq!(shown(&book), ["up,down | : 1 0", "rx,tx | a: 1 3 | b: 2 4", "err | a: 5"]);
    assert!(!read(&mut book, &series), "the same again is the same layout");
    assert_eq!(book.series(), 7);
}

#[test]
fn a_series_keeps_its_cell_whatever_comes_and_goes() {
    let mut book = book(BOUNDS);
    read(&mut book, &["rx dev=a 1", "rx dev=b 2", "tx dev=a 3", "tx dev=b 4"]);
    assert!(!read(&mut book, &["tx dev=b 14", "rx dev=b 12", "rx dev=a 11"]), "one cell ended");
    assert_eq!(shown(&book), ["rx,tx | a: 11 x | b: 12 14"]);
    assert!(!read(&mut book, &["rx dev=b 1", "tx dev=b 2"]), "a row ended, and is still there to say so");
    assert_eq!(shown(&book), ["rx,tx | a: x - | b: 1 2"]);
    assert!(read(&mut book, &["rx dev=b 1", "tx dev=b 2"]), "it left");
    assert_eq!(shown(&book), ["rx,tx | b: 1 2"]);
    assert!(read(&mut book, &["rx dev=b 1", "tx dev=b 2", "tx dev=c 3"]), "a row that came");
    assert_eq!(shown(&book), ["rx,tx | b: 1 2 | c: - 3"]);
}

#[test]
fn what_fails_is_ended_once_and_keeps_its_place() {
    let mut book = book(BOUNDS);
    read(&mut book, &["a 1", "b x=1 2"]);
    let fail = |book: &mut Book, partly: &[&str]| {
        book.begin();
        put(book, partly);
        book.fail();
    };
    fail(&mut book, &["a 9"]);
    assert_eq!(shown(&book), ["a | : x", "b | 1: x"], "half a reading is none");
    fail(&mut book, &[]);
    assert_eq!(shown(&book), ["a | : -", "b | 1: -"]);
    assert!(!read(&mut book, &["a 5", "b x=1 6"]), "it is back, in the same layout");
    assert_eq!(shown(&book), ["a | : 5", "b | 1: 6"]);
}

#[test]
fn of_two_samples_of_one_series_the_first_stands() {
    let mut book = book(BOUNDS);
    read(&mut book, &["a x=1 1", "a x=1 2"]);
    assert_eq!(shown(&book), ["a | 1: 1"]);
    read(&mut book, &["a x=1 3", "a x=1 4", "a x=2 5", "a x=2 6"]);
    assert_eq!(shown(&book), ["a | 1: 3 | 2: 5"]);
}

#[test]
fn one_metric_with_other_label_names_is_another_column() {
    let mut book = book(BOUNDS);
    let series = ["a 1", "a x=1 2", "a x=1 y=2 3", "a y=1 4"];
    read(&mut book, &series);
    assert_eq!(shown(&book), ["a | : 1", "a | 1: 2", "a | 1 2: 3", "a | 1: 4"]);
    assert!(!read(&mut book, &series));
}

#[test]
fn series_blocks_and_bytes_are_bounded_and_what_is_left_out_is_counted() {
    let mut few = book(Bounds { series: 3, ..BOUNDS });
    read(&mut few, &["a x=1 1", "a x=2 1", "a x=3 1", "a x=4 1", "b 1"]);
    assert_eq!((few.series(), few.left_out()), (3, 2));
    let mut flat = book(Bounds { blocks: 2, ..BOUNDS });
    read(&mut flat, &["a x=1 1", "b y=1 1", "c z=1 1"]);
    assert_eq!((shown(&flat).len(), flat.left_out()), (2, 1));
    let mut small = book(Bounds { bytes: 100, ..BOUNDS });
    let rows: Vec<String> = (0..50).map(|row| format!("a x={row} 1")).collect();
    read(&mut small, &["a x=0 1"]);
    read(&mut small, &rows.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(small.bytes() <= 100 && small.left_out() > 40, "{} bytes", small.bytes());
    let long = format!("a x={} 1", "v".repeat(limits::VALUE_BYTES + 1));
    let mut odd = book(BOUNDS);
    read(&mut odd, &[&long, "9a 1", "b-c 1", "a x=\0 1", "a x=1 1"]);
    assert_eq!((odd.series(), odd.left_out()), (1, 4));
}

#[test]
fn blocks_and_bytes_of_what_is_gone_are_free_again() {
    let mut book = book(Bounds { blocks: 2, ..BOUNDS });
    for round in 0..40 {
        read(&mut book, &[&format!("metric_{round} x=1 1"), "always 1"]);
        assert!(book.bytes() < 300, "{} bytes in round {round}", book.bytes());
    }
    read(&mut book, &["always 1"]);
    read(&mut book, &["always 1", "late 2"]);
    assert!(shown(&book).contains(&"late | : 2".to_owned()), "{:?}", shown(&book));
}

proptest::proptest! {
    /// Whatever series come in whatever readings: what is read out is what was put in, and the blocks fit the wire.
    #[test]
    fn a_reading_is_read_out_as_it_was_put_in(
        readings in proptest::collection::vec(proptest::collection::btree_map("[ab]( x=[12])?( y=[12])?", 0..100_i32, 0..12), 1..8)
    ) {
        let mut book = book(BOUNDS);
        for reading in readings {
            let lines: Vec<String> = reading.iter().map(|(series, value)| format!("{series} {value}")).collect();
            read(&mut book, &lines.iter().map(String::as_str).collect::<Vec<_>>());
            let mut found = BTreeMap::new();
            for (block, row) in book.pages() {
                let columns = block.template.metrics.len();
                for (place, value) in row.values.iter().enumerate().filter(|(place, _)| row.flags[*place] == 0) {
                    let names = block.template.instance_labels[1..].iter();
                    let labels = names.zip(&block.instances[place / columns].values[1..]);
                    let labels: String = labels.map(|(name, value)| format!(" {name}={value}")).collect();
                    found.insert(format!("{}{labels}", block.template.metrics[place % columns].name), *value as i32);
                }
            }
            proptest::prop_assert_eq!(found, reading);
            for (block, row) in book.pages() {
                proptest::prop_assert!(watchkeep_protocol::Check::check(block).is_ok());
                proptest::prop_assert_eq!(row.values.len(), block.instances.len() * block.template.metrics.len());
            }
        }
    }
}
