//! The network process's side of the socket: connected while `act` is there, calm while it is not.

use std::path::PathBuf;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use watchkeep_protocol::{Command, CommandResult};

use super::frame::{self, ActGreeting, Answer, AnswerBody, Greet, Kept, Request, RequestBody};

/// Requests and news that wait, each way.
const QUEUE: usize = 64;
/// Between attempts to connect.
const PAUSE: Duration = Duration::from_secs(2);

/// What comes from `act`.
#[derive(Debug)]
pub enum News {
    Greeting(ActGreeting),
    /// To be spooled and then confirmed by [`Client::kept`].
    Outcome {
        ticket: u64,
        result: CommandResult,
    },
    /// There is no `act` (any more): its nonces are void.
    Gone,
}

/// A connection to `act` that is kept up.
pub struct Client {
    requests: mpsc::Sender<RequestBody>,
    news: mpsc::Receiver<News>,
    task: JoinHandle<()>,
}

impl Client {
    /// Begins to connect to the socket.
    pub fn begin(socket: PathBuf) -> Self {
        let (requests, wanted) = mpsc::channel(QUEUE);
        let (told, news) = mpsc::channel(QUEUE);
        let task = tokio::spawn(keep_up(socket, wanted, told));
        Self { requests, news, task }
    }

    /// What comes next.
    pub async fn news(&mut self) -> News {
        match self.news.recv().await {
            Some(news) => news,
            None => std::future::pending().await,
        }
    }

    /// Asks for a fresh nonce; it comes as [`News::Greeting`]. False where `act` is not keeping up.
    pub fn greet(&self) -> bool {
        self.requests.try_send(RequestBody::Greet(Greet {})).is_ok()
    }

    /// Hands a command over; false where it was dropped (it will be sent again while it is valid).
    pub fn command(&self, command: Command) -> bool {
        self.requests.try_send(RequestBody::Command(command)).is_ok()
    }

    /// Says that this result is durable in the spool; where that is lost, it comes again.
    pub fn kept(&self, ticket: u64) {
        let _ = self.requests.try_send(RequestBody::Kept(Kept { ticket }));
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn keep_up(socket: PathBuf, mut wanted: mpsc::Receiver<RequestBody>, told: mpsc::Sender<News>) {
    let mut said = false;
    loop {
        match UnixStream::connect(&socket).await {
            Ok(stream) => {
                tracing::info!("connected to act at \"{}\"", socket.display());
                // What was asked of an earlier act does not concern this one.
                while wanted.try_recv().is_ok() {}
                let ended = converse(stream, &mut wanted, &told).await;
                tracing::warn!(
                    "the connection to act ended: {}",
                    ended.map_or_else(|e| e.to_string(), |()| "closed".into())
                );
                said = false;
            }
            Err(error) if !said => {
                tracing::info!("no act at \"{}\" ({error}): nothing may be done to this host", socket.display());
                said = true;
            }
            Err(_) => {}
        }
        if told.send(News::Gone).await.is_err() {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn converse(
    stream: UnixStream,
    wanted: &mut mpsc::Receiver<RequestBody>,
    told: &mpsc::Sender<News>,
) -> std::io::Result<()> {
    let (mut from, mut to) = stream.into_split();
    frame::write(&mut to, &Request { body: Some(RequestBody::Greet(Greet {})) }).await?;
    let reading = async {
        while let Some(answer) = frame::read::<Answer>(&mut from).await? {
            let news = match answer.body {
                Some(AnswerBody::Greeting(greeting)) => News::Greeting(greeting),
                Some(AnswerBody::Outcome(delivery)) => {
                    News::Outcome { ticket: delivery.ticket, result: delivery.result }
                }
                None => continue,
            };
            if told.send(news).await.is_err() {
                break;
            }
        }
        Ok(())
    };
    let writing = async {
        while let Some(body) = wanted.recv().await {
            frame::write(&mut to, &Request { body: Some(body) }).await?;
        }
        Ok(())
    };
    tokio::select! { ended = reading => ended, ended = writing => ended }
}
