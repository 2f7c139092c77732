//! What comes from beside the host's own files, each source at its own pace: scraped exporters and checks.
//!
//! A source is asked when a report is due and its interval is over, has its own time limit, and is asked one question at
//! a time. All of them run on one thread of their own, so that whoever does not answer holds up neither the collectors nor
//! the connection. What comes within [`PATIENCE`] of a report being due goes with that report, and with it gets the time
//! at which the report was begun; what takes longer goes with the next one. Who was late once is not waited for until it
//! was quick again.
//!
//! [`book`] makes blocks of a layout of what a source says, [`shelf`] is where the thread puts them and the report takes
//! them from. Events of theirs go by [`teller`] to the spool.

mod book;
mod shelf;
mod teller;

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

pub use book::{Book, Bounds, Sample, shortened};
pub use shelf::{PATIENCE, Shelf};
pub use teller::Teller;

/// What one reading of a source is written into; it goes with the source from reading to reading.
pub type Reading<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Something that is asked again and again.
pub trait Source: Send {
    /// The blocks that it fills, in the layout's order.
    fn books(&self) -> Vec<&Book>;

    /// Between two questions.
    fn interval(&self) -> Duration;

    /// Asks once and fills the books. It ends within its own time limit, and fills in then that it failed.
    fn read(&mut self) -> Reading<'_>;
}

/// Starts the thread that asks the sources. It lives as long as the process.
///
/// # Errors
/// The system gives no thread, or no runtime.
pub fn begin(sources: Vec<Box<dyn Source>>) -> io::Result<Arc<Shelf>> {
    let shelf = Arc::new(Shelf::new(sources.iter().map(|source| source.interval())));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(8).build()?;
    let shared = Arc::clone(&shelf);
    std::thread::Builder::new().name("gather".to_owned()).spawn(move || {
        let tasks = tokio::task::LocalSet::new();
        for (place, source) in sources.into_iter().enumerate() {
            tasks.spawn_local(ask_again_and_again(source, place, Arc::clone(&shared)));
        }
        runtime.block_on(tasks);
    })?;
    Ok(shelf)
}

async fn ask_again_and_again(mut source: Box<dyn Source>, place: usize, shelf: Arc<Shelf>) {
    loop {
        shelf.wanted(place).await;
        source.read().await;
        shelf.put(place, &source.books());
    }
}
