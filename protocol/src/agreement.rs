//! How both ends of a session agree on its key through a broker that is not ours.
//!
//! Both already know whom to believe: at enrolment the agent was told the controller's Ed25519 command keys, and the
//! controller's CA signed the agent's certificate. Neither takes the broker's word for anything. Per connection:
//!
//! ```text
//! agent                                              controller
//!   │ open   {share A}                        ──────►  │ is an agent of this name enrolled?
//!   │  ◄──────  offer {share B, nonce, signature}      │ signed by a command key
//!   │ proof  {certificate, signature}, sealed ──────►  │ in force? its signature? sealed under K?
//!   │ hello …, sealed                         ──────►  │ from here on the session is agreed
//! ```
//!
//! `A` and `B` are X25519 public keys drawn for this one agreement. With `T = lengths and bytes of agent's name, session,
//! A, B, nonce`:
//!
//! - the offer's signature is over `"watchkeep key offer v1\0" ‖ T`: the controller is there **now** (A is new) and means
//!   this agent and session. Without it the agent says nothing more;
//! - the proof's signature is over `"watchkeep key proof v1\0" ‖ T` by the key of the agent's certificate: the agent is
//!   there **now** (B and the nonce are new). Its envelope is sealed under K, so whoever signs also holds A's secret;
//! - `K = HKDF-SHA256(salt = session ‖ nonce, secret = X25519(A, B), info = "watchkeep session key v1\0" ‖ T)`, 32 bytes.
//!
//! What follows:
//!
//! - Until the proof is taken, nothing of the session is input: no hello, no event, no result.
//! - A replayed `open` costs the controller one offer and changes no session; a replayed proof is over another nonce. So a
//!   live session is displaced by nobody who does not hold the agent's private key.
//! - Both directions are sealed under K with counters of their own ([`crate::mac`]); keys taken later from either end open
//!   no earlier session, since both halves are forgotten.
//! - Who owns the broker can keep an agreement from coming about, as it can drop everything else.
//!
//! An unsealed `resync` that asks for hello is only a hint to open anew (the controller started again), and an unsealed
//! `will` only a hint to look whether the agent still speaks: both can be forged and decide nothing.
//!
//! The primitives are the callers' (ring in the agent, aws-lc-rs in the controller); here is what they are applied to.

use hmac::{Hmac, KeyInit as _, Mac as _};
use prost::Message;
use sha2::Sha256;

use crate::{SessionKey, WireError};

/// Goes before what the controller signs.
const OFFER_CONTEXT: &[u8] = b"watchkeep key offer v1\0";
/// Goes before what the agent signs.
const PROOF_CONTEXT: &[u8] = b"watchkeep key proof v1\0";
/// Goes before what the key is derived for.
const KEY_CONTEXT: &[u8] = b"watchkeep session key v1\0";

/// The agent opens an agreement. Unsealed.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Open {
    /// X25519 public key (32 bytes), drawn for this agreement.
    #[prost(bytes = "vec", tag = "1")]
    pub share: Vec<u8>,
}

/// The controller's answer. Unsealed; its signature carries it.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Offer {
    /// X25519 public key (32 bytes), drawn for this agreement.
    #[prost(bytes = "vec", tag = "1")]
    pub share: Vec<u8>,
    /// 16 bytes, drawn for this agreement.
    #[prost(bytes = "vec", tag = "2")]
    pub nonce: Vec<u8>,
    /// The id of the command key: the first 8 bytes of SHA-256 of the public key.
    #[prost(bytes = "vec", tag = "3")]
    pub key: Vec<u8>,
    /// Ed25519 (64 bytes) over [`Agreement::offer_bytes`].
    #[prost(bytes = "vec", tag = "4")]
    pub signature: Vec<u8>,
}

/// The agent proves that it holds its certificate's key. Sealed under the key that it proves.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Proof {
    /// The agent's certificate, DER.
    #[prost(bytes = "vec", tag = "1")]
    pub certificate: Vec<u8>,
    /// ECDSA P-256 with SHA-256 in ASN.1, or Ed25519, as the certificate's key is; over [`Agreement::proof_bytes`].
    #[prost(bytes = "vec", tag = "2")]
    pub signature: Vec<u8>,
}

/// What both ends of one agreement know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreement<'a> {
    /// The agent's name, as in its certificate and its topics.
    pub agent: &'a str,
    pub session: &'a [u8; 16],
    pub agent_share: &'a [u8],
    pub controller_share: &'a [u8],
    pub nonce: &'a [u8],
}

impl Agreement<'_> {
    /// What the controller's command key signs.
    pub fn offer_bytes(&self) -> Vec<u8> {
        self.under(OFFER_CONTEXT)
    }

    /// What the agent's certificate key signs.
    pub fn proof_bytes(&self) -> Vec<u8> {
        self.under(PROOF_CONTEXT)
    }

    /// The session's key, from what X25519 gave.
    ///
    /// # Errors
    /// [`WireError::Invalid`] where that is all zeros: the other end sent a point of low order (RFC 7748, section 6.1).
    pub fn key(&self, shared: &[u8]) -> Result<SessionKey, WireError> {
        if shared.iter().all(|byte| *byte == 0) {
            return Err(WireError::Invalid { what: "key share", found: "leads to no secret".to_owned() });
        }
        let salt = [self.session.as_slice(), self.nonce].concat();
        Ok(SessionKey::new(hkdf(&salt, shared, &self.under(KEY_CONTEXT))))
    }

    fn under(&self, context: &[u8]) -> Vec<u8> {
        let parts = [self.agent.as_bytes(), self.session, self.agent_share, self.controller_share, self.nonce];
        let mut bytes = context.to_vec();
        for part in parts {
            bytes.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            bytes.extend_from_slice(part);
        }
        bytes
    }
}

/// HKDF-SHA256 (RFC 5869) for one block of output.
fn hkdf(salt: &[u8], secret: &[u8], info: &[u8]) -> [u8; 32] {
    let extracted = hmac(salt, &[secret]);
    hmac(&extracted, &[info, &[1]])
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGREEMENT: Agreement<'_> = Agreement {
        agent: "web-1",
        session: &[1; 16],
        agent_share: &[2; 32],
        controller_share: &[3; 32],
        nonce: &[4; 16],
    };

    #[test]
    fn hkdf_gives_what_rfc_5869_gives_in_its_first_test_case() {
        let salt: Vec<u8> = (0..=0x0c).collect();
        let info: Vec<u8> = (0xf0..=0xf9).collect();
        let found: String = hkdf(&salt, &[0x0b; 22], &info).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(found, "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf");
    }

    #[test]
    fn each_part_of_an_agreement_changes_the_key_and_what_is_signed() {
        let others = [
            Agreement { agent: "web-2", ..AGREEMENT },
            Agreement { session: &[9; 16], ..AGREEMENT },
            Agreement { agent_share: &[9; 32], ..AGREEMENT },
            Agreement { controller_share: &[9; 32], ..AGREEMENT },
            Agreement { nonce: &[9; 16], ..AGREEMENT },
            // The same bytes, cut elsewhere.
            Agreement { agent: "web-1\u{1}", session: &[1; 16], ..AGREEMENT },
        ];
        let secret = [5; 32];
        for other in others {
            assert_ne!(other.key(&secret), AGREEMENT.key(&secret), "{other:?}");
            assert_ne!(other.offer_bytes(), AGREEMENT.offer_bytes(), "{other:?}");
            assert_ne!(other.proof_bytes(), AGREEMENT.proof_bytes(), "{other:?}");
        }
        assert_ne!(AGREEMENT.key(&[6; 32]), AGREEMENT.key(&secret));
        assert_ne!(AGREEMENT.offer_bytes(), AGREEMENT.proof_bytes(), "neither signature can stand for the other");
    }

    #[test]
    fn a_share_that_leads_to_no_secret_gives_no_key() {
        assert!(AGREEMENT.key(&[0; 32]).is_err());
    }
}
