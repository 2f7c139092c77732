//! `statvfs` on threads that can be abandoned.
//!
//! One thread answers one question after the other. Whoever asks waits [`PATIENCE`] in all a reading, and [`LEAST`] for
//! each filesystem where that is used up; a thread that does
//! not answer by then is left to the kernel together with its mount, and another takes its place. A mount whose thread
//! hangs is not asked again until that thread comes back; its late answer is used then, once. [`STUCK_MAX`] threads may
//! hang; with that many no further mount is asked until one comes back.

use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

/// How long one reading waits for all its filesystems together.
const PATIENCE: Duration = Duration::from_millis(200);
/// What each filesystem has at least, where one before it used the patience up: a new thread must be able to start.
const LEAST: Duration = Duration::from_millis(50);
/// Threads that may hang at once.
const STUCK_MAX: usize = 8;
/// `statvfs` needs no more.
const STACK_BYTES: usize = 64 << 10;

/// What a filesystem has, in bytes and inodes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Room {
    pub size_bytes: f64,
    pub free_bytes: f64,
    pub avail_bytes: f64,
    pub files: f64,
    pub files_free: f64,
}

type Look = fn(&str) -> Option<Room>;
/// The path comes back with the answer, so that its buffer is used again.
type Answer = (String, Option<Room>);

pub struct Prober {
    look: Look,
    patience: Duration,
    worker: Option<Worker>,
    /// Threads that hang, with the mount each hangs in.
    stuck: Vec<(String, Worker)>,
    /// Answers of threads that came back, for the next question.
    late: Vec<Answer>,
    path: String,
    deadline: Instant,
}

struct Worker {
    questions: Sender<String>,
    answers: Receiver<Answer>,
}

impl Default for Prober {
    fn default() -> Self {
        Self::new(statvfs, PATIENCE)
    }
}

impl Prober {
    fn new(look: Look, patience: Duration) -> Self {
        let (stuck, late) = (Vec::new(), Vec::new());
        Self { look, patience, worker: None, stuck, late, path: String::new(), deadline: Instant::now() }
    }

    /// Threads that hang.
    pub fn stuck(&self) -> usize {
        self.stuck.len()
    }

    /// Begins a reading: the patience is full again, and threads that came back are let go.
    pub fn begin(&mut self) {
        self.deadline = Instant::now() + self.patience;
        self.late.clear();
        let late = &mut self.late;
        self.stuck.retain(|(mountpoint, worker)| match worker.answers.try_recv() {
            Ok(answer) => {
                tracing::info!(%mountpoint, "filesystem answers again");
                late.push(answer);
                false
            }
            Err(mpsc::TryRecvError::Empty) => true,
            Err(mpsc::TryRecvError::Disconnected) => false,
        });
    }

    /// The room of a filesystem; `None` where it cannot be read or does not answer.
    pub fn ask(&mut self, mountpoint: &str) -> Option<Room> {
        if let Some((_, room)) = self.late.iter().find(|(path, _)| path == mountpoint) {
            return *room;
        }
        if self.stuck.iter().any(|(path, _)| path == mountpoint) {
            return None;
        }
        let worker = self.worker()?;
        let mut path = std::mem::take(&mut self.path);
        path.clear();
        path.push_str(mountpoint);
        let left = self.deadline.saturating_duration_since(Instant::now()).max(LEAST);
        if worker.questions.send(path).is_err() {
            return None;
        }
        match worker.answers.recv_timeout(left) {
            Ok((path, room)) => {
                self.path = path;
                self.worker = Some(worker);
                room
            }
            Err(_) => {
                tracing::warn!(%mountpoint, "filesystem does not answer; its thread is left to hang");
                self.stuck.push((mountpoint.to_owned(), worker));
                None
            }
        }
    }

    /// The idle thread, or a new one where few enough hang.
    fn worker(&mut self) -> Option<Worker> {
        if let Some(idle) = self.worker.take() {
            return Some(idle);
        }
        if self.stuck.len() >= STUCK_MAX {
            return None;
        }
        let (questions, asked) = mpsc::channel::<String>();
        let (answering, answers) = mpsc::channel();
        let look = self.look;
        let answer_all = move || {
            while let Ok(path) = asked.recv() {
                let room = look(&path);
                if answering.send((path, room)).is_err() {
                    return;
                }
            }
        };
        // Detached: it ends when its questions do, or never, where the kernel keeps it.
        let started = thread::Builder::new().name("statvfs".to_owned()).stack_size(STACK_BYTES).spawn(answer_all);
        started.ok().map(|_| Worker { questions, answers })
    }
}

fn statvfs(path: &str) -> Option<Room> {
    let found = rustix::fs::statvfs(path).ok()?;
    let bytes = |blocks: u64| blocks as f64 * found.f_frsize as f64;
    Some(Room {
        size_bytes: bytes(found.f_blocks),
        free_bytes: bytes(found.f_bfree),
        avail_bytes: bytes(found.f_bavail),
        files: found.f_files as f64,
        files_free: found.f_ffree as f64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: Room = Room { size_bytes: 9.0, free_bytes: 0.0, avail_bytes: 0.0, files: 1.0, files_free: 0.0 };

    /// Hangs for the number of milliseconds that the path ends with.
    fn slow(path: &str) -> Option<Room> {
        let ms = path.rsplit('-').next().and_then(|digits| digits.parse().ok()).unwrap_or(0);
        thread::sleep(Duration::from_millis(ms));
        Some(FULL)
    }

    #[test]
    fn a_mount_that_hangs_is_left_alone_and_holds_up_no_other() {
        let mut prober = Prober::new(slow, Duration::from_millis(50));
        let began = Instant::now();
        prober.begin();
        assert_eq!(prober.ask("/dead-60000"), None);
        assert_eq!(prober.ask("/well-0"), Some(FULL));
        for _ in 0..10 {
            prober.begin();
            assert_eq!(prober.ask("/dead-60000"), None);
            assert_eq!(prober.ask("/well-0"), Some(FULL));
        }
        assert_eq!(prober.stuck(), 1, "it was asked once");
        assert!(began.elapsed() < Duration::from_secs(10), "ten readings waited for it once: {:?}", began.elapsed());
    }

    #[test]
    fn a_late_answer_is_used_and_its_thread_is_let_go() {
        let mut prober = Prober::new(slow, Duration::from_millis(20));
        prober.begin();
        assert_eq!(prober.ask("/late-200"), None);
        let deadline = Instant::now() + Duration::from_secs(10);
        while prober.stuck() > 0 {
            assert!(Instant::now() < deadline, "its thread never came back");
            thread::sleep(Duration::from_millis(10));
            prober.begin();
        }
        assert_eq!(prober.ask("/late-200"), Some(FULL));
    }

    #[test]
    fn only_so_many_threads_hang() {
        let mut prober = Prober::new(slow, Duration::from_millis(1));
        prober.begin();
        for number in 0..STUCK_MAX + 4 {
            assert_eq!(prober.ask(&format!("/dead-{number}-60000")), None);
        }
        assert_eq!(prober.stuck(), STUCK_MAX);
        assert_eq!(prober.ask("/well-0"), None, "nobody is left to ask");
    }

    #[test]
    fn this_machine_s_root_has_a_size() {
        assert!(statvfs("/").is_some_and(|room| room.size_bytes > 0.0 && room.free_bytes <= room.size_bytes));
        assert_eq!(statvfs("/no/such/place"), None);
    }
}
