use watchkeep_protocol::MetricKind;

use super::super::{Bounds, Reading, Sample, Source, begin};
use super::*;

/// Says one series after a pause.
struct Slow {
    pause: Duration,
    interval: Duration,
    book: Book,
    value: f64,
}

impl Slow {
    fn after(pause_ms: u64) -> Box<dyn Source> {
        let bounds = Bounds { series: 10, blocks: 2, bytes: 10_000 };
        let own = vec![("job".to_owned(), pause_ms.to_string())];
        let (pause, interval) = (Duration::from_millis(pause_ms), Duration::from_millis(1));
        Box::new(Self { pause, interval, book: Book::new(own, bounds), value: 0.0 })
    }
}

impl Source for Slow {
    fn books(&self) -> Vec<&Book> {
        vec![&self.book]
    }

    fn interval(&self) -> Duration {
        self.interval
    }

    fn read(&mut self) -> Reading<'_> {
        Box::pin(async {
            tokio::time::sleep(self.pause).await;
            self.value += 1.0;
            self.book.begin();
            self.book.put(Sample { name: "a", labels: &[], kind: MetricKind::Gauge, help: "", value: self.value });
            self.book.end();
        })
    }
}

/// One report: what came with it, by block, and how long it took.
fn report(shelf: &Shelf) -> (Vec<(u32, f64)>, Duration) {
    let (began, mut rows) = (Instant::now(), Vec::new());
    shelf.begin(began);
    shelf.wait(PATIENCE);
    shelf.take(10, &mut rows);
    (rows.iter().map(|row| (row.block, row.values[0])).collect(), began.elapsed())
}

#[test]
fn who_hangs_is_waited_for_once_and_holds_up_nobody() {
    let shelf = begin(vec![Slow::after(600_000), Slow::after(0)]).expect("a thread");
    let (first, took) = report(&shelf);
    assert_eq!(first, [(10, 1.0)], "the layout has no block of who said nothing yet");
    assert!(took >= PATIENCE, "{took:?}");
    for value in 2..5 {
        std::thread::sleep(Duration::from_millis(2));
        let (next, took) = report(&shelf);
        assert_eq!(next, [(10, f64::from(value))]);
        assert!(took < PATIENCE, "{took:?}");
    }
}

#[test]
fn who_is_late_is_in_a_later_report_and_is_waited_for_again_once_it_is_quick() {
    let shelf = begin(vec![Slow::after(350), Slow::after(0)]).expect("a thread");
    assert_eq!(report(&shelf).0, [(10, 1.0)]);
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let (rows, took) = report(&shelf);
        assert!(took < PATIENCE, "who was late is not waited for: {took:?}");
        if rows.contains(&(10, 1.0)) && rows.iter().any(|(block, _)| *block == 11) {
            return;
        }
        assert!(Instant::now() < deadline, "the late answer never came: {rows:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_source_is_asked_at_its_own_interval() {
    let second = Duration::from_secs(1);
    let shelf = Shelf::new([second * 15, second * 60].into_iter());
    let (start, mut asked) = (Instant::now(), [Vec::new(), Vec::new()]);
    for report in 0..9_u32 {
        // Reports come a little early and late.
        let now = start + second * 15 * report + Duration::from_millis(u64::from(report % 3) * 40);
        shelf.begin(now);
        for (place, state) in shelf.places().iter_mut().enumerate() {
            if state.asked_at.take().is_some() {
                asked[place].push(report);
            }
        }
    }
    assert_eq!(asked, [(0..9).collect(), vec![0, 4, 8]]);
}

#[test]
fn what_does_not_fit_into_a_report_beside_the_others_is_left_out_whole() {
    let shelf = Shelf::new([Duration::from_secs(1); 3].into_iter());
    let book = |series: usize| {
        let mut book = Book::new(vec![("job".to_owned(), "x".to_owned())], Bounds { series, blocks: 9, bytes: BYTES });
        book.begin();
        for place in 0..series {
            let labels = [("l".to_owned(), place.to_string())];
            book.put(Sample { name: "a", labels: &labels, kind: MetricKind::Gauge, help: "", value: 1.0 });
        }
        book.end();
        book
    };
    for (place, series) in [20_000, 20_000, 5].into_iter().enumerate() {
        shelf.put(place, &[&book(series)]);
    }
    let mut rows = Vec::new();
    assert!(shelf.take(0, &mut rows), "the layout is new");
    let sizes: Vec<(u32, usize)> = rows.iter().map(|row| (row.block, row.values.len())).collect();
    assert_eq!(sizes, [(0, 20_000), (1, 5)]);
    let blocks = shelf.blocks();
    assert_eq!(blocks.iter().map(|block| block.instances.len()).collect::<Vec<_>>(), [20_000, 5]);
    assert!(watchkeep_protocol::Check::check(&Layout::whole(blocks)).is_ok());
    assert!(!shelf.take(0, &mut rows), "nothing came since");
}
