//! From an order of the desk to a signed command, at the moment of sending.

use prost::Message as _;
use watchkeep_desk::decision::{Action, Order};
use watchkeep_protocol::command::{self, signed_bytes};
use watchkeep_protocol::topic::Kind;
use watchkeep_protocol::{Check as _, Command, CommandBody, Signature, WireError};

use crate::access::keys::SigningKey;

/// What binds a command to the moment at which it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The nonce that the agent's `act` drew, 16 bytes.
    pub nonce: Vec<u8>,
    /// The epoch of the desk's lease.
    pub epoch: u64,
    /// Milliseconds after the nonce was drawn, on the agent's monotonic clock.
    pub expires_after_ms: u64,
}

/// Why an order became no command: a fault of ours in planning, since orders come from the desk.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    #[error("command {command}: the plan's hash {found:?} is not hexadecimal")]
    PlanHash { command: String, found: String },
    #[error("command {command}: no agent would take it")]
    Unfit {
        command: String,
        #[source]
        cause: WireError,
    },
}

/// Signs `order` for the moment of `binding`.
///
/// # Errors
/// [`SignError`] for an order that every agent would refuse as malformed.
pub fn sign(key: &SigningKey, order: &Order, binding: &Binding) -> Result<Command, SignError> {
    let body = body(order, binding)?;
    let unfit = |cause| SignError::Unfit { command: order.command.to_string(), cause };
    body.check().map_err(unfit)?;
    let body = body.encode_to_vec();
    if body.len() > Kind::Command.body_bytes_max() {
        let most = Kind::Command.body_bytes_max();
        return Err(unfit(WireError::TooLarge { what: "command", found: body.len(), most }));
    }
    let signature = key.sign(&signed_bytes(&body)).to_vec();
    Ok(Command { body, signatures: vec![Signature { key: key.id().to_vec(), signature }] })
}

fn body(order: &Order, binding: &Binding) -> Result<CommandBody, SignError> {
    let plan_hash = bytes_of_hex(&order.plan_hash).ok_or_else(|| SignError::PlanHash {
        command: order.command.to_string(),
        found: order.plan_hash.chars().take(80).collect(),
    })?;
    Ok(CommandBody {
        id: order.command.0.to_vec(),
        agent: order.agent.clone(),
        run: order.run.to_string(),
        step: u32::try_from(order.step).unwrap_or(u32::MAX),
        attempt: order.attempt,
        plan_hash,
        epoch: binding.epoch,
        session_nonce: binding.nonce.clone(),
        expires_after_ms: binding.expires_after_ms,
        timeout_ms: u64::try_from(order.timeout_ms).unwrap_or(0),
        action: Some(match &order.action {
            Action::Run { argv } => {
                let environment = std::collections::BTreeMap::new();
                command::Action::Run(command::Run { argv: argv.clone(), environment })
            }
            Action::Service { name, state } => {
                command::Action::Service(command::Service { name: name.clone(), state: state.clone() })
            }
            Action::Script { interpreter, content, args } => command::Action::Script(command::Script {
                argv: interpreter.clone(),
                content: content.clone(),
                arguments: args.clone(),
            }),
            Action::Package { names, state } => {
                command::Action::Package(command::Package { names: names.clone(), state: state.clone() })
            }
            Action::File { path, state, content, mode, owner, group } => command::Action::File(command::File {
                path: path.clone(),
                state: state.clone(),
                content: content.clone(),
                mode: *mode,
                owner: owner.clone().unwrap_or_default(),
                group: group.clone().unwrap_or_default(),
            }),
        }),
    })
}

fn bytes_of_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |b: u8| char::from(b).to_digit(16);
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| Some((digit(*pair.first()?)? * 16 + digit(*pair.get(1)?)?) as u8)).collect()
}

#[cfg(test)]
mod tests {
    use watchkeep_desk::ids::{CommandId, RunId};

    use super::*;
    use crate::access::keys::verify;

    fn order() -> Order {
        Order {
            command: CommandId([7; 16]),
            agent: "web-3".to_owned(),
            run: RunId(12),
            step: 1,
            attempt: 2,
            plan_hash: "ab".repeat(32),
            action: Action::Service { name: "nginx.service".to_owned(), state: "restarted".to_owned() },
            valid_for_ms: 60_000,
            timeout_ms: 30_000,
        }
    }

    #[test]
    fn each_action_is_signed_as_it_was_ordered() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let cases = [
            (
                Action::Script {
                    interpreter: words(&["/bin/sh"]),
                    content: "df \"$1\"".to_owned(),
                    args: words(&["/srv"]),
                },
                command::Action::Script(command::Script {
                    argv: words(&["/bin/sh"]),
                    content: "df \"$1\"".to_owned(),
                    arguments: words(&["/srv"]),
                }),
            ),
            (
                Action::Package { names: words(&["nginx", "curl"]), state: "latest".to_owned() },
                command::Action::Package(command::Package {
                    names: words(&["nginx", "curl"]),
                    state: "latest".to_owned(),
                }),
            ),
            (
                Action::File {
                    path: "/etc/motd".to_owned(),
                    state: "file".to_owned(),
                    content: Some(String::new()),
                    mode: Some(0o640),
                    owner: None,
                    group: Some("adm".to_owned()),
                },
                command::Action::File(command::File {
                    path: "/etc/motd".to_owned(),
                    state: "file".to_owned(),
                    content: Some(String::new()),
                    mode: Some(0o640),
                    owner: String::new(),
                    group: "adm".to_owned(),
                }),
            ),
        ];
        for (action, expected) in cases {
            let body = body(&Order { action, ..order() }, &binding()).expect("a body");
            assert_eq!(body.action, Some(expected));
        }
    }

    fn binding() -> Binding {
        Binding { nonce: vec![9; 16], epoch: 3, expires_after_ms: 61_000 }
    }

    #[test]
    fn a_command_says_what_the_order_says_and_its_signature_covers_every_byte() {
        let key = SigningKey::generate();
        let command = sign(&key, &order(), &binding()).expect("signed");
        let body = CommandBody::decode(command.body.as_slice()).expect("decodes");
        assert_eq!((body.agent.as_str(), body.run.as_str(), body.step, body.attempt), ("web-3", "RUN-12", 1, 2));
        assert_eq!((body.epoch, body.expires_after_ms, body.timeout_ms), (3, 61_000, 30_000));
        assert_eq!((body.plan_hash, body.session_nonce, body.id), (vec![0xab; 32], vec![9; 16], vec![7; 16]));
        let service = command::Service { name: "nginx.service".to_owned(), state: "restarted".to_owned() };
        assert_eq!(body.action, Some(command::Action::Service(service)));

        let [signature] = command.signatures.as_slice() else { panic!("one signature") };
        assert_eq!(signature.key, key.id());
        let holds = |body: &[u8]| verify(key.public_key(), &signed_bytes(body), &signature.signature);
        assert!(holds(&command.body));
        for at in 0..command.body.len() {
            let mut forged = command.body.clone();
            forged[at] ^= 1;
            assert!(!holds(&forged), "byte {at}");
        }
        assert!(!verify(key.public_key(), &command.body, &signature.signature), "the context belongs to it");
    }

    #[test]
    fn an_order_that_no_agent_would_take_is_not_signed() {
        let key = SigningKey::generate();
        let hash = Order { plan_hash: "xyz".to_owned(), ..order() };
        let error = sign(&key, &hash, &binding()).expect_err("refused").to_string();
        assert!(error.contains("\"xyz\" is not hexadecimal"), "{error}");
        let empty = Order { action: Action::Run { argv: Vec::new() }, ..order() };
        assert!(matches!(sign(&key, &empty, &binding()), Err(SignError::Unfit { .. })));
        let large = Order { action: Action::Run { argv: vec!["x".repeat(1 << 20)] }, ..order() };
        assert!(matches!(sign(&key, &large, &binding()), Err(SignError::Unfit { .. })));
        let nonce = Binding { nonce: vec![1], ..binding() };
        assert!(matches!(sign(&key, &order(), &nonce), Err(SignError::Unfit { .. })));
    }
}
