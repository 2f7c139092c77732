//! Events from other programs of this host: a unix socket, a frame with an event, an answer once it is durable.

use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use prost::Message;
use rustix::process::getuid;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use watchkeep_protocol::{Check as _, Event};

use crate::act::frame;

/// Connections at the same time; further ones wait in the socket's own queue.
const CONNECTIONS: usize = 64;
/// How long either side waits for the other.
const PATIENCE: Duration = Duration::from_secs(15);

/// What came of an event.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Answer {
    /// The number of its matter, where it is durable.
    #[prost(uint64, optional, tag = "1")]
    pub number: Option<u64>,
    /// Why it was not taken.
    #[prost(string, tag = "2")]
    pub refusal: String,
}

/// An event on its way to the spool.
#[derive(Debug)]
pub struct Sent {
    pub event: Event,
    /// Told the matter's number once it is durable, or why it is not.
    pub answer: oneshot::Sender<Result<u64, String>>,
}

/// Why an event was not sent.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    #[error("hand the event to the agent at \"{}\"; does `watchkeep-agent run` run, and as this user?", socket.display())]
    NoAgent { socket: PathBuf, source: io::Error },
    #[error("the agent did not take the event: {0}")]
    Refused(String),
}

/// Listens at `socket`, in the place of one that nobody listens at any more. Only this process's user and root may send.
///
/// # Errors
/// The place is taken, or cannot be made.
pub fn bind(socket: &Path) -> io::Result<UnixListener> {
    if let Some(folder) = socket.parent() {
        std::fs::create_dir_all(folder)?;
    }
    if BlockingStream::connect(socket).is_ok() {
        return Err(io::Error::new(io::ErrorKind::AddrInUse, "another agent listens there"));
    }
    let _ = std::fs::remove_file(socket);
    let listener = UnixListener::bind(socket)?;
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Takes events until nobody wants them. `out` is bounded: while it is full, senders wait.
pub async fn listen(listener: UnixListener, out: mpsc::Sender<Sent>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    while let Ok(permit) = room.clone().acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                let out = out.clone();
                tokio::spawn(async move {
                    let _ = tokio::time::timeout(PATIENCE, converse(stream, out)).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!("accept an event: {error}");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
        if out.is_closed() {
            return;
        }
    }
}

async fn converse(mut stream: UnixStream, out: mpsc::Sender<Sent>) -> io::Result<()> {
    let peer = stream.peer_cred()?.uid();
    if peer != 0 && peer != getuid().as_raw() {
        let refusal = format!("uid {peer} may not send events here");
        return frame::write(&mut stream, &Answer { number: None, refusal }).await;
    }
    while let Some(event) = frame::read::<Event>(&mut stream).await? {
        let answer = match event.check() {
            Err(fault) => Err(fault.to_string()),
            Ok(()) => {
                let (answer, told) = oneshot::channel();
                let stopping = || "the agent is stopping".to_owned();
                match out.send(Sent { event, answer }).await {
                    Ok(()) => told.await.unwrap_or_else(|_| Err(stopping())),
                    Err(_) => Err(stopping()),
                }
            }
        };
        let answer = match answer {
            Ok(number) => Answer { number: Some(number), refusal: String::new() },
            Err(refusal) => Answer { number: None, refusal },
        };
        frame::write(&mut stream, &answer).await?;
    }
    Ok(())
}

/// Hands `event` to the agent that listens at `socket` and returns its matter's number once it is durable. Blocks for at
/// most half a minute.
///
/// # Errors
/// No agent is there, or it refused the event with a sentence.
pub fn send(socket: &Path, event: &Event) -> Result<u64, SendError> {
    event.check().map_err(|fault| SendError::Refused(fault.to_string()))?;
    let answer = exchange(socket, event).map_err(|source| SendError::NoAgent { socket: socket.to_owned(), source })?;
    answer.number.ok_or(SendError::Refused(answer.refusal))
}

fn exchange(socket: &Path, event: &Event) -> io::Result<Answer> {
    let mut stream = BlockingStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let bytes = event.encode_to_vec();
    stream.write_all(&u32::try_from(bytes.len()).map_err(io::Error::other)?.to_be_bytes())?;
    stream.write_all(&bytes)?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut bytes = vec![0; (u32::from_be_bytes(length) as usize).min(frame::FRAME_BYTES)];
    stream.read_exact(&mut bytes)?;
    Answer::decode(bytes.as_slice()).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(text: &str) -> Event {
        Event { labels: [("kind".to_owned(), "x".to_owned())].into(), text: text.to_owned() }
    }

    /// Sends `events` one after another to a listener whose spool answers with `answer`.
    fn sent(events: Vec<Event>, answer: fn(u64, &Event) -> Result<u64, String>) -> Vec<Result<u64, String>> {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("events.sock");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let (out, mut taken) = mpsc::channel(4);
            tokio::spawn(listen(bind(&socket).expect("listens"), out));
            tokio::spawn(async move {
                let mut number = 0;
                while let Some(sent) = taken.recv().await {
                    let _ = sent.answer.send(answer(number, &sent.event));
                    number += 1;
                }
            });
            let sending =
                move || events.iter().map(|event| send(&socket, event).map_err(|error| error.to_string())).collect();
            tokio::task::spawn_blocking(sending).await.expect("no panic")
        })
    }

    #[test]
    fn an_event_is_answered_with_its_number_or_a_sentence() {
        let answers = sent(vec![event("a"), event("full"), event("b"), Event::default()], |number, event| {
            if event.text == "full" { Err("the disk is full".to_owned()) } else { Ok(number) }
        });
        let refused = |why: &str| Err(format!("the agent did not take the event: {why}"));
        assert_eq!(answers, [Ok(0), refused("the disk is full"), Ok(2), refused("event: has no label \"kind\"")]);
    }

    #[test]
    fn without_an_agent_the_words_name_the_socket_and_what_would_help() {
        let said = send(Path::new("/nowhere/events.sock"), &event("a")).expect_err("nobody listens").to_string();
        assert!(said.contains("\"/nowhere/events.sock\"") && said.contains("watchkeep-agent run"), "{said}");
    }

    #[test]
    fn a_socket_that_was_left_behind_is_taken_over_and_a_live_one_is_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("events.sock");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let first = bind(&socket).expect("listens");
            assert_eq!(bind(&socket).expect_err("taken").kind(), io::ErrorKind::AddrInUse);
            drop(first);
            assert!(bind(&socket).is_ok());
        });
    }
}
