//! The process `watchkeep-act`: one unix socket, one journal, a few commands at a time.

use std::cell::RefCell;
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom as _, SystemRandom};
use rustix::process::getuid;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Notify, Semaphore};
use watchkeep_protocol::Command;

use super::frame::{self, ActGreeting, Answer, AnswerBody, Delivery, Request, RequestBody};
use super::journal::Journal;
use super::judge::{Granted, Known};
use super::{carry, programs, since_boot_ms, wall_ms};
use crate::enrol::Authority;
use crate::policy::Policy;

/// Commands that are carried out at the same time; further ones wait.
const AT_ONCE: usize = 4;
/// Connections at the same time; there is one network process.
const CONNECTIONS: usize = 4;

/// How `act` is set up.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `act`'s own directory: `authority.json` (from enrolment), `journal`.
    pub state: PathBuf,
    pub policy: PathBuf,
    pub socket: PathBuf,
    /// Who may connect besides root and this process's own user: a name or a number.
    pub peer: Option<String>,
}

/// Why `act` does not start.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    #[error("{doing} \"{}\"", path.display())]
    Io { doing: &'static str, path: PathBuf, source: io::Error },
    #[error("\"{}\" is not there: this host is not enrolled for actions; run `watchkeep-agent enroll TOKEN`", path.display())]
    NotEnrolled { path: PathBuf },
    #[error("\"{}\": {found}; enrol again", path.display())]
    Damaged { path: PathBuf, found: String },
    #[error("the user \"{name}\" who may connect does not exist here")]
    Peer { name: String },
}

/// All that one `act` knows and does.
pub struct Act {
    settings: Settings,
    known: RefCell<Known>,
    journal: RefCell<Journal>,
    /// A result waits.
    news: Notify,
    at_once: Semaphore,
    peer: Option<u32>,
}

impl Act {
    /// Reads the authority and the journal. Commands that were begun and not ended become `Unknown` here.
    ///
    /// # Errors
    /// [`ActError`]
    pub fn open(settings: Settings) -> Result<Rc<Self>, ActError> {
        let authority = authority(&settings.state)?;
        let journal = Journal::open(&settings.state, wall_ms()).map_err(at("open", &settings.state.join("journal")))?;
        let peer = match &settings.peer {
            Some(name) => Some(programs::user(name).ok_or_else(|| ActError::Peer { name: name.clone() })?.uid),
            None => None,
        };
        let keys = authority.command_keys.iter().filter_map(|key| STANDARD.decode(key).ok()).collect();
        Ok(Rc::new(Self {
            known: RefCell::new(Known::new(authority.agent, keys, journal.epoch())),
            journal: RefCell::new(journal),
            settings,
            news: Notify::new(),
            at_once: Semaphore::new(AT_ONCE),
            peer,
        }))
    }

    /// Listens at the settings' socket, taking the place of one that nobody listens at any more.
    ///
    /// # Errors
    /// The place is taken, or cannot be made.
    pub fn bind(&self) -> Result<UnixListener, ActError> {
        let path = &self.settings.socket;
        if let Some(folder) = path.parent().filter(|folder| !folder.exists()) {
            std::fs::create_dir_all(folder).map_err(at("make the directory", folder))?;
        }
        if std::os::unix::net::UnixStream::connect(path).is_ok() {
            let taken = io::Error::new(ErrorKind::AddrInUse, "another watchkeep-act listens there");
            return Err(at("listen at", path)(taken));
        }
        let _ = std::fs::remove_file(path);
        let listener = UnixListener::bind(path).map_err(at("listen at", path))?;
        // Who may is decided by the peer's user id, which cannot be forged; the file's mode only keeps the curious away.
        let mode = std::fs::Permissions::from_mode(if self.peer.is_some() { 0o666 } else { 0o600 });
        std::fs::set_permissions(path, mode).map_err(at("set the mode of", path))?;
        Ok(listener)
    }

    /// Serves until the listener fails for good. Runs inside a [`tokio::task::LocalSet`].
    ///
    /// # Errors
    /// What accepting says, where it is not about one connection.
    pub async fn serve(self: Rc<Self>, listener: UnixListener) -> io::Result<()> {
        let room = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let (stream, _) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
                Err(error) => return Err(error),
            };
            let Ok(permit) = room.clone().try_acquire_owned() else { continue };
            let act = self.clone();
            tokio::task::spawn_local(async move {
                if let Err(error) = act.converse(stream).await {
                    tracing::warn!("a connection ended: {error}");
                }
                drop(permit);
            });
        }
    }

    async fn converse(self: &Rc<Self>, stream: UnixStream) -> io::Result<()> {
        let peer = stream.peer_cred()?.uid();
        let own = getuid().as_raw();
        if peer != 0 && peer != own && Some(peer) != self.peer {
            return Err(io::Error::new(ErrorKind::PermissionDenied, format!("uid {peer} may not order anything here")));
        }
        let (mut from, to) = stream.into_split();
        let to = Rc::new(tokio::sync::Mutex::new(to));
        let handing = tokio::task::spawn_local(self.clone().hand_over(to.clone()));
        let read = async {
            while let Some(request) = frame::read::<Request>(&mut from).await? {
                match request.body {
                    Some(RequestBody::Greet(_)) => {
                        let answer = Answer { body: Some(AnswerBody::Greeting(self.greet())) };
                        frame::write(&mut *to.lock().await, &answer).await?;
                    }
                    Some(RequestBody::Command(command)) => self.take(&command),
                    Some(RequestBody::Kept(kept)) => self.journal.borrow_mut().kept(kept.ticket)?,
                    None => {}
                }
            }
            Ok(())
        };
        let ended = read.await;
        handing.abort();
        ended
    }

    /// Hands results over as they come, each once a connection.
    async fn hand_over(self: Rc<Self>, to: Rc<tokio::sync::Mutex<tokio::net::unix::OwnedWriteHalf>>) {
        let mut next = 0;
        loop {
            let news = self.news.notified();
            let waiting = self.journal.borrow().waiting_from(next).map(|(ticket, result)| (ticket, result.clone()));
            let Some((ticket, result)) = waiting else {
                news.await;
                continue;
            };
            next = ticket + 1;
            let answer = Answer { body: Some(AnswerBody::Outcome(Delivery { ticket, result })) };
            if frame::write(&mut *to.lock().await, &answer).await.is_err() {
                return;
            }
        }
    }

    fn greet(&self) -> ActGreeting {
        let mut nonce = [0; 16];
        SystemRandom::new().fill(&mut nonce).expect("the operating system gives random bytes");
        self.known.borrow_mut().drew(nonce, since_boot_ms());
        let policy = std::fs::read(&self.settings.policy).ok();
        ActGreeting {
            nonce: nonce.to_vec(),
            epoch: self.known.borrow().epoch,
            policy_hash: policy.map(|text| digest(&SHA256, &text).as_ref().to_vec()).unwrap_or_default(),
        }
    }

    /// The policy as the file stands now.
    fn policy(&self) -> Result<Policy, String> {
        let path = self.settings.policy.display().to_string();
        let text =
            std::fs::read_to_string(&self.settings.policy).map_err(|error| format!("read \"{path}\": {error}"))?;
        Policy::parse(&path, &text).map_err(|faults| faults.to_string())
    }

    /// Judges a command and begins it, or refuses it.
    fn take(self: &Rc<Self>, command: &Command) {
        let policy = self.policy();
        let seen = |id: &[u8]| self.journal.borrow().has_seen(id);
        let judged = self.known.borrow().judge(command, since_boot_ms(), seen, &policy);
        match judged {
            Err(refusal) => {
                tracing::warn!(
                    refusal = refusal.word,
                    run = refusal.claimed.run,
                    "refused a command: {}",
                    refusal.reason
                );
                if self.journal.borrow_mut().refused(refusal.result(wall_ms())) {
                    self.news.notify_waiters();
                }
            }
            Ok(granted) => self.begin(granted),
        }
    }

    fn begin(self: &Rc<Self>, granted: Granted) {
        // Without room it is not taken: the controller sends it again while it is valid.
        if !self.journal.borrow().has_room() {
            tracing::warn!("too many results wait to be fetched; {} is not taken now", granted.body.run);
            return;
        }
        if let Err(error) = self.journal.borrow_mut().begun(granted.body.epoch, &granted.result()) {
            tracing::error!("a command is not begun, as the journal cannot be written: {error}");
            return;
        }
        self.known.borrow_mut().epoch = self.journal.borrow().epoch();
        let act = self.clone();
        tokio::task::spawn_local(async move {
            let permit = act.at_once.acquire().await;
            tracing::info!("{}", granted.sentence());
            let result = carry::carry_out(&granted).await;
            drop(permit);
            if let Err(error) = act.journal.borrow_mut().ended(result) {
                tracing::error!("the end of a command could not be written: {error}");
            }
            act.news.notify_waiters();
        });
    }
}

fn authority(state: &Path) -> Result<Authority, ActError> {
    let path = state.join("authority.json");
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(ActError::NotEnrolled { path }),
        Err(error) => return Err(at("read", &path)(error)),
    };
    serde_json::from_str(&text).map_err(|error| ActError::Damaged { path, found: error.to_string() })
}

fn at(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ActError {
    let path = path.to_owned();
    move |source| ActError::Io { doing, path, source }
}
