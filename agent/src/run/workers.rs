//! What may hang in the kernel, on threads of its own: collectors and discoverers. The loop hands them a request and goes
//! on; while one has not answered it gets no second, and nothing waits for it.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use tokio::sync::mpsc;
use watchkeep_protocol::layout::Row;
use watchkeep_protocol::{Block, Inventory, Layout};

use super::memory;
use crate::act::wall_ms;
use crate::collect::{Collectors, SpoolFigures};
use crate::discover::Discoverer;
use crate::gather::{self, Shelf};

/// One reading, on its way to the spool.
pub struct Collected {
    /// When the reading began, UTC milliseconds: a collector that hangs makes it late, not another time's.
    pub at_ms: i64,
    pub layout: [u8; 32],
    /// The layout's blocks, where it is another than that of the reading before.
    pub blocks: Option<Vec<Block>>,
    pub rows: Vec<Row>,
}

/// What the discoverer is asked.
pub enum Ask {
    /// Look, and say the first of what is news.
    Look,
    /// The one before is durable: say the next.
    Next,
    /// These sections are wanted whole with the next look.
    Forget(Vec<String>),
    /// What the last look brought is durable.
    Kept,
}

/// A thread that answers requests one by one.
pub struct Worker<Request, Answer> {
    requests: mpsc::Sender<Request>,
    pub answers: mpsc::Receiver<Answer>,
    /// A request is under way.
    busy: bool,
}

impl<Request: Send + 'static, Answer: Send + 'static> Worker<Request, Answer> {
    fn begin(name: &str, mut work: impl FnMut(Request) -> Option<Answer> + Send + 'static) -> io::Result<Self> {
        let (requests, mut wanted) = mpsc::channel(8);
        let (told, answers) = mpsc::channel(1);
        // Never joined: where it hangs in the kernel, it is left behind at the end of the process.
        thread::Builder::new().name(name.to_owned()).spawn(move || {
            while let Some(request) = wanted.blocking_recv() {
                let Some(answer) = work(request) else { continue };
                if told.blocking_send(answer).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { requests, answers, busy: false })
    }

    /// Asks for an answer; false where the last one is still under way.
    pub fn ask(&mut self, request: Request) -> bool {
        if self.busy {
            return false;
        }
        self.busy = self.requests.try_send(request).is_ok();
        self.busy
    }

    /// Tells something that has no answer; false where the thread is not keeping up.
    pub fn tell(&self, request: Request) -> bool {
        self.requests.try_send(request).is_ok()
    }

    /// The answer that was asked for. Waits for ever where the thread has ended.
    pub async fn answer(&mut self) -> Answer {
        match self.answers.recv().await {
            Some(answer) => {
                self.busy = false;
                answer
            }
            None => std::future::pending().await,
        }
    }
}

/// The collectors' thread; `shelf` has what was gathered beside them.
///
/// # Errors
/// The system gives no thread.
pub fn collecting(mut collectors: Collectors, shelf: Arc<Shelf>) -> io::Result<Worker<SpoolFigures, Collected>> {
    let mut layout = [0; 32];
    let mut untidy = false;
    Worker::begin("collect", move |figures| {
        let at_ms = wall_ms();
        shelf.begin(Instant::now());
        let reading = collectors.read(figures);
        // Blocks without an instance need no row.
        let mut rows = reading.rows.iter().filter(|row| !row.values.is_empty()).cloned().collect();
        shelf.wait(gather::PATIENCE);
        let others_changed = shelf.take(reading.blocks.len(), &mut rows);
        let changed = reading.layout_changed || others_changed;
        let blocks = changed.then(|| [reading.blocks.clone(), shelf.blocks()].concat());
        if let Some(blocks) = &blocks {
            layout = Layout::content_id(blocks);
        }
        // A layout on its way takes several times what it takes for good.
        if std::mem::replace(&mut untidy, changed) {
            memory::give_back();
        }
        Some(Collected { at_ms, layout, blocks, rows })
    })
}

/// The discoverer's thread. Each answer is one message of news; `None` after the last.
///
/// # Errors
/// The system gives no thread.
pub fn discovering(mut discoverer: Discoverer) -> io::Result<Worker<Ask, Option<Inventory>>> {
    // The look before brought news, which is long on its way when the next one comes.
    let mut untidy = false;
    Worker::begin("discover", move |ask| match ask {
        Ask::Look => {
            discoverer.look();
            let first = discoverer.next_news();
            if std::mem::replace(&mut untidy, first.is_some()) {
                memory::give_back();
            }
            Some(first)
        }
        Ask::Next => Some(discoverer.next_news()),
        Ask::Forget(sections) => {
            discoverer.forget(&sections);
            None
        }
        Ask::Kept => {
            discoverer.kept();
            None
        }
    })
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::path::Path;
    use std::time::Duration;

    use rustix::fs::OFlags;

    use super::*;
    use crate::config::CollectConfig;
    use crate::root::testing::TempFiles;

    /// A pipe under that name: whoever opens it for reading hangs in the kernel until [`let_through`].
    fn hang_at(path: &Path) {
        std::fs::create_dir_all(path.parent().expect("a file has a folder")).expect("is made");
        let made = std::process::Command::new("mkfifo").arg(path).status().expect("mkfifo runs");
        assert!(made.success(), "mkfifo {}: {made}", path.display());
    }

    /// Waits until somebody hangs at the pipe, and lets them go on.
    fn let_through(path: &Path) {
        use std::os::unix::fs::OpenOptionsExt as _;
        let deadline = Instant::now() + Duration::from_secs(20);
        // Without waiting, opening for writing succeeds only once somebody opens for reading.
        let mut open = OpenOptions::new();
        let open = open.write(true).custom_flags(OFlags::NONBLOCK.bits() as i32);
        while let Err(error) = open.open(path) {
            assert!(Instant::now() < deadline, "nobody reads {}: {error}", path.display());
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[tokio::test]
    async fn a_report_has_the_time_at_which_its_reading_began_however_long_it_hangs() {
        let files = TempFiles::new();
        files.write("proc/loadavg", "0.5 0.4 0.3 1/100 1234\n");
        let root = files.root();
        let (first, second) = (root.join("proc/1/mounts"), root.join("proc/net/dev"));
        hang_at(&first);
        hang_at(&second);
        let collectors = Collectors::new(&root, &CollectConfig::default(), Arc::default());
        let mut worker = collecting(collectors, Arc::new(Shelf::new([].into_iter()))).expect("a thread");

        let asked = wall_ms();
        assert!(worker.ask(SpoolFigures::default()));
        let_through(&first);
        let began_by = wall_ms();
        thread::sleep(Duration::from_millis(20));
        assert!(!worker.ask(SpoolFigures::default()), "one at a time");
        let_through(&second);
        let collected = worker.answer().await;
        assert!((asked..=began_by).contains(&collected.at_ms), "{asked} {began_by} {}", collected.at_ms);
        assert!(!collected.rows.is_empty(), "what did not hang was read");
    }
}
