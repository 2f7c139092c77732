//! Whether a command may be carried out: a plain function of the command, what is known, and the time.

use std::collections::VecDeque;

use prost::Message as _;
use ring::digest::{SHA256, digest};
use ring::signature::{ED25519, UnparsedPublicKey};
use watchkeep_protocol::command::signed_bytes;
use watchkeep_protocol::topic::Kind;
use watchkeep_protocol::{Action, Check as _, Command, CommandBody, CommandResult, Outcome};

use super::programs;
use crate::policy::{Policy, Verdict, describe};

/// Nonces that still count: a command may be on its way when the next hello draws another.
const NONCES: usize = 4;
/// What a command may set in the environment of what it runs.
const ENVIRONMENT: [&str; 3] = ["LANG", "LC_ALL", "TZ"];

/// What `act` knows when it judges.
#[derive(Clone, Debug)]
pub struct Known {
    /// This agent's name.
    pub agent: String,
    /// Public keys (32 bytes) of the controller.
    pub keys: Vec<Vec<u8>>,
    /// The newest last, each with when it was drawn.
    nonces: VecDeque<([u8; 16], u64)>,
    /// The highest epoch of a command that was taken.
    pub epoch: u64,
}

/// A command that may be carried out.
#[derive(Clone, Debug, PartialEq)]
pub struct Granted {
    pub body: CommandBody,
    /// With the program resolved and the unit's suffix added.
    pub action: Action,
    /// The policy's line.
    pub by: String,
    /// Whom to run as, where the policy says.
    pub user: Option<String>,
}

/// Why a command is not carried out.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal {
    /// `malformed`, `signature`, `agent`, `nonce`, `expired`, `epoch`, `replayed`, `policy`.
    pub word: &'static str,
    pub reason: String,
    /// What the command said of itself, as far as it could be read.
    pub claimed: Box<CommandBody>,
}

impl Known {
    pub fn new(agent: impl Into<String>, keys: Vec<Vec<u8>>, epoch: u64) -> Self {
        Self { agent: agent.into(), keys, nonces: VecDeque::new(), epoch }
    }

    /// Takes a nonce that was drawn at `now` (milliseconds since boot).
    pub fn drew(&mut self, nonce: [u8; 16], now: u64) {
        self.nonces.push_back((nonce, now));
        while self.nonces.len() > NONCES {
            self.nonces.pop_front();
        }
    }

    /// Judges `command` at `now`, in the order of the checks; the first that fails is the reason.
    ///
    /// `seen` says whether an id was taken before; `policy` is the policy, or why there is none.
    ///
    /// # Errors
    /// The refusal, with its stable word.
    pub fn judge(
        &self,
        command: &Command,
        now: u64,
        seen: impl Fn(&[u8]) -> bool,
        policy: &Result<Policy, String>,
    ) -> Result<Granted, Refusal> {
        let body = self.body_of(command)?;
        let refuse = |word, reason| Err(Refusal { word, reason, claimed: Box::new(body.clone()) });
        if let Err(reason) = self.signed(command) {
            return refuse("signature", reason);
        }
        if body.agent != self.agent {
            return refuse("agent", format!("the command is for \"{}\", this is \"{}\"", body.agent, self.agent));
        }
        let Some((_, drawn)) = self.nonces.iter().find(|(nonce, _)| *nonce == *body.session_nonce) else {
            return refuse(
                "nonce",
                "the command answers no nonce of this process; it was ordered for an earlier one".to_owned(),
            );
        };
        let age = now.saturating_sub(*drawn);
        if age >= body.expires_after_ms {
            let reason = format!("the command expired {} ms ago", age - body.expires_after_ms);
            return refuse("expired", reason);
        }
        if body.epoch < self.epoch {
            return refuse("epoch", format!("the command is of epoch {}, {} has begun", body.epoch, self.epoch));
        }
        if seen(&body.id) {
            return refuse("replayed", "a command of this id was taken before".to_owned());
        }
        match self.allowed(&body, policy) {
            Ok((action, by, user)) => Ok(Granted { body, action, by, user }),
            Err(reason) => refuse("policy", reason),
        }
    }

    fn body_of(&self, command: &Command) -> Result<CommandBody, Refusal> {
        let malformed = |reason: String, claimed| Refusal { word: "malformed", reason, claimed: Box::new(claimed) };
        command.check().map_err(|error| malformed(error.to_string(), CommandBody::default()))?;
        if command.body.len() > Kind::Command.body_bytes_max() {
            return Err(malformed("the command is too large".to_owned(), CommandBody::default()));
        }
        let body = CommandBody::decode(command.body.as_slice())
            .map_err(|_| malformed("the command's body does not decode".to_owned(), CommandBody::default()))?;
        match body.check() {
            Ok(()) => Ok(body),
            Err(error) => Err(malformed(error.to_string(), body)),
        }
    }

    /// Whether one of the signatures is by a key of the controller.
    fn signed(&self, command: &Command) -> Result<(), String> {
        let message = signed_bytes(&command.body);
        let by_known = command.signatures.iter().filter_map(|signature| {
            let key = self.keys.iter().find(|key| digest(&SHA256, key).as_ref()[..8] == *signature.key)?;
            Some(UnparsedPublicKey::new(&ED25519, key).verify(&message, &signature.signature).is_ok())
        });
        let (mut known, mut good) = (false, false);
        for holds in by_known {
            (known, good) = (true, good || holds);
        }
        match (known, good) {
            (_, true) => Ok(()),
            (true, false) => Err("the signature is not that of the command's content".to_owned()),
            (false, _) if command.signatures.is_empty() => Err("the command is not signed".to_owned()),
            (false, _) => Err("the command is signed by no key that this host was given at enrolment".to_owned()),
        }
    }

    fn allowed(
        &self,
        body: &CommandBody,
        policy: &Result<Policy, String>,
    ) -> Result<(Action, String, Option<String>), String> {
        let policy =
            policy.as_ref().map_err(|fault| format!("nothing is allowed, as the policy cannot be used: {fault}"))?;
        let action = body.action.clone().ok_or_else(|| "the command has no action that is known here".to_owned())?;
        let action = settled(action)?;
        match policy.judge(&action) {
            Verdict::Allowed { by, user } => Ok((action, by, user)),
            Verdict::Denied { why } => Err(why),
        }
    }
}

/// The action as the policy judges it and as it will be done: program by its whole path, unit with its suffix.
fn settled(action: Action) -> Result<Action, String> {
    match action {
        Action::Run(mut run) => {
            if let Some(name) = run.environment.keys().find(|name| !ENVIRONMENT.contains(&name.as_str())) {
                return Err(format!("no policy allows setting {name}; {} may be set", ENVIRONMENT.join(", ")));
            }
            resolve(&mut run.argv)?;
            Ok(Action::Run(run))
        }
        Action::Script(mut script) => {
            resolve(&mut script.argv)?;
            Ok(Action::Script(script))
        }
        Action::Service(mut service) => {
            if !service.name.contains('.') {
                service.name.push_str(".service");
            }
            Ok(Action::Service(service))
        }
        Action::Package(_) | Action::File(_) => Ok(action),
    }
}

/// The program by its whole path.
fn resolve(argv: &mut [String]) -> Result<(), String> {
    let program = argv.first().cloned().unwrap_or_default();
    let found = programs::resolve(&program).ok_or_else(|| format!("no program \"{program}\" on {}", programs::PATH))?;
    if found.split('/').any(|part| part == "..") {
        return Err(format!("\"{program}\" leads upwards; name the program by its plain path"));
    }
    argv[0] = found;
    Ok(())
}

impl Refusal {
    /// The result that tells it.
    pub fn result(&self, at_ms: i64) -> CommandResult {
        let id = if self.claimed.id.len() == 16 { self.claimed.id.clone() } else { vec![0; 16] };
        CommandResult {
            outcome: Outcome::Refused as i32,
            reason: self.reason.clone(),
            refusal: self.word.to_owned(),
            started_ms: at_ms,
            finished_ms: at_ms,
            ..result_of(&self.claimed, id)
        }
    }
}

impl Granted {
    /// An empty result of this command, with the policy's line that allows it.
    pub fn result(&self) -> CommandResult {
        CommandResult { policy: self.by.clone(), ..result_of(&self.body, self.body.id.clone()) }
    }

    /// For the log, with steps counted from 1 as people are told of them: what is done, and which line allows it.
    pub fn sentence(&self) -> String {
        format!(
            "{} step {} attempt {}: {} ({})",
            self.body.run,
            u64::from(self.body.step) + 1,
            self.body.attempt,
            describe(&self.action),
            self.by
        )
    }
}

/// A result that carries what the command said of itself, cut to what a result may hold.
fn result_of(body: &CommandBody, id: Vec<u8>) -> CommandResult {
    let run = body.run.chars().take(32).collect();
    CommandResult { id, run, step: body.step, attempt: body.attempt, ..CommandResult::default() }
}
