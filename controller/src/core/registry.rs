//! Who is enrolled, as the broker's gate asks it: a copy of the desk's agents that can be read from any thread.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use watchkeep_desk::desk::Agent;

use crate::fleet::gate::Refusal;

/// Agents by name.
#[derive(Debug, Default)]
pub struct Registry(RwLock<BTreeMap<String, Known>>);

#[derive(Debug)]
struct Known {
    serial: String,
    revoked: bool,
    quarantined: bool,
}

impl Registry {
    /// Takes agents as they now stand. Returns the names of those that may not stay connected.
    pub fn take(&self, agents: &[Agent]) -> Vec<String> {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let mut out = Vec::new();
        for agent in agents {
            let quarantined = agent.lost.as_deref() == Some("quarantined");
            if agent.revoked || quarantined {
                out.push(agent.name.clone());
            }
            let entry = Known { serial: agent.serial.clone(), revoked: agent.revoked, quarantined };
            known.insert(agent.name.clone(), entry);
        }
        out
    }

    /// Whether the holder of this certificate may connect.
    ///
    /// # Errors
    /// Says what stands against it.
    pub fn admit(&self, agent: &str, serial: &str) -> Result<(), Refusal> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let serial = serial.to_owned();
        match known.get(agent) {
            None => Err(Refusal::Unknown),
            Some(known) if known.revoked && known.serial == serial => Err(Refusal::Revoked { serial }),
            Some(known) if known.serial != serial => Err(Refusal::NotInForce { serial }),
            Some(known) if known.quarantined => Err(Refusal::Quarantined),
            Some(_) => Ok(()),
        }
    }

    /// Whether an agent of this name was ever enrolled.
    pub fn has(&self, agent: &str) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).contains_key(agent)
    }
}
