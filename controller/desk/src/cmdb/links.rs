//! Connections as agents see them: kept on the client's host, until the other end is known and as long as they are seen.
//!
//! A connection is no item and makes no fact; what follows from it does ([`super::connect`]). The whole section or a
//! difference of it may come in any order with the other sections and with those of other hosts.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::found::Refused;
use super::graph::{Context, Graph, Outcome, RelationKey};
use crate::ids::CiId;
use crate::input::{FoundItem, Fragment};
use crate::{Millis, Timer, TimerKind};

/// The section of an agent's inventory that names connections, and the class of its items.
pub const SECTION: &str = "connection";
/// Connections kept of one host, those not seen any more among them; what comes beyond is left out and said.
pub const LINKS_MOST: usize = 512;
/// Bytes of an item's key, as on the wire.
const KEY_BYTES: usize = 1024;

/// A connection that a process of the host opened, by the key under which the agent names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The key of the process on the same host: `/usr/sbin/nginx@nginx.service`.
    pub process: String,
    /// `tcp`.
    pub protocol: String,
    /// Address and port of the other end.
    pub remote: SocketAddr,
    /// When it was first seen, by the host's time.
    pub since: Millis,
    /// Since when the agent names it no more, by the controller's time; none while it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone_at: Option<Millis>,
    /// The relations that follow from it.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub holds: BTreeSet<RelationKey>,
    /// Why none follows.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why_none: String,
}

/// What a host's agent says of its connections, by their keys.
pub(super) type Links = BTreeMap<String, Link>;

/// Reads one item of the section.
///
/// Errors: what is missing or does not fit, as a sentence.
fn read(item: &FoundItem, happened_at: Millis) -> Result<Link, String> {
    if item.class != SECTION || item.key.is_empty() || item.key.len() > KEY_BYTES {
        return Err(format!("items of section \"{SECTION}\" of another class, or without a key that fits"));
    }
    let said = |name: &str| item.attributes.get(name).map(String::as_str).filter(|value| value.len() <= KEY_BYTES);
    let process = said("process").ok_or("connections without a process")?.to_owned();
    let remote = said("remote").ok_or("connections without a remote end")?;
    let remote: SocketAddr = remote.parse().map_err(|_| "connections whose remote end is no address and port")?;
    let remote = SocketAddr::new(remote.ip().to_canonical(), remote.port());
    if remote.ip().is_loopback() || remote.ip().is_unspecified() {
        return Err("connections that do not leave the host".to_owned());
    }
    let protocol = said("protocol").unwrap_or("tcp").to_owned();
    let (holds, why_none) = (BTreeSet::new(), String::new());
    Ok(Link { process, protocol, remote, since: happened_at, gone_at: None, holds, why_none })
}

impl Graph {
    /// Takes in what an agent says of its connections; what follows from them is for [`Graph::follow`].
    pub(super) fn take_links(&mut self, host: CiId, fragment: &Fragment, ctx: &Context<'_>, out: &mut Outcome) {
        let Some(known) = self.get(host) else { return };
        let mut links = known.more().links.clone();
        let mut refused = Refused::default();
        let mut named = BTreeSet::new();
        for item in &fragment.items {
            match read(item, fragment.happened_at) {
                Ok(link) => {
                    named.insert(item.key.as_str());
                    take_link(&mut links, &item.key, link, &mut refused);
                }
                Err(why) => refused.say(why),
            }
        }
        let said_gone = fragment.gone.iter().filter(|(class, _)| class == SECTION).map(|(_, key)| key.as_str());
        let said_gone: BTreeSet<&str> = said_gone.filter(|key| !named.contains(key)).collect();
        let is_gone = |key: &str| if fragment.whole { !named.contains(key) } else { said_gone.contains(key) };
        let mut went = false;
        for (_, link) in links.iter_mut().filter(|(key, link)| link.gone_at.is_none() && is_gone(key)) {
            link.gone_at = Some(ctx.at);
            went = true;
        }
        out.left_out += refused.count();
        if went {
            let due = ctx.at.plus(ctx.settings.relation_unseen_after);
            out.timers.push(Timer { due, kind: TimerKind::CiUnseen { ci: host } });
        }
        self.keep_links(host, links);
    }

    /// Enters a host's connections as they now stand.
    pub(super) fn keep_links(&mut self, host: CiId, links: Links) {
        if self.get(host).is_some_and(|ci| ci.more().links != links) {
            self.edit(host, |ci| ci.more_mut().links = links);
        }
    }
}

/// A connection that is named, again or for the first time. The room of one that is gone is given to one that is there.
fn take_link(links: &mut Links, key: &str, link: Link, refused: &mut Refused) {
    if let Some(known) = links.get_mut(key) {
        let is_other = (&known.process, known.remote, &known.protocol) != (&link.process, link.remote, &link.protocol);
        if is_other {
            *known = Link { holds: std::mem::take(&mut known.holds), ..link };
        }
        known.gone_at = None;
    } else if links.len() < LINKS_MOST {
        links.insert(key.to_owned(), link);
    } else {
        refused.say(format!("connections beyond the {LINKS_MOST} that are kept of one host"));
    }
}
