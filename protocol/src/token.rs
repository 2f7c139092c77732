//! The enrolment token: what an operator hands to a new host.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use prost::Message;

use crate::WireError;

/// Shape: `wk1.` and the unpadded URL-safe base64 of this message. A secret: `Debug` never shows it.
#[derive(Clone, PartialEq, Eq, Message)]
#[prost(skip_debug)]
pub struct Token {
    /// Names the token in the ledger and in lists.
    #[prost(string, tag = "1")]
    pub id: String,
    /// 32 random bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub secret: Vec<u8>,
    /// SHA-256 of the DER of the controller's CA certificate: the host trusts this CA and no other.
    #[prost(bytes = "vec", tag = "3")]
    pub ca_fingerprint: Vec<u8>,
    /// Where to enrol: `https://host:port`.
    #[prost(string, tag = "4")]
    pub url: String,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token").field("id", &self.id).field("url", &self.url).finish_non_exhaustive()
    }
}

impl Token {
    pub fn to_text(&self) -> String {
        format!("wk1.{}", URL_SAFE_NO_PAD.encode(self.encode_to_vec()))
    }

    /// Reads a token as pasted; white space around it is forgiven.
    pub fn parse(text: &str) -> Result<Self, WireError> {
        let bad = |found: &str| WireError::Invalid { what: "enrolment token", found: found.to_owned() };
        let rest = text.trim().strip_prefix("wk1.").ok_or_else(|| bad("does not begin with \"wk1.\""))?;
        let bytes = URL_SAFE_NO_PAD.decode(rest).map_err(|_| bad("is not base64; was it cut when pasted?"))?;
        let token = Self::decode(bytes.as_slice()).map_err(|_| bad("is damaged; was it cut when pasted?"))?;
        if token.secret.len() != 32 || token.ca_fingerprint.len() != 32 || !token.url.starts_with("https://") {
            return Err(bad("is damaged; was it cut when pasted?"));
        }
        Ok(token)
    }
}
