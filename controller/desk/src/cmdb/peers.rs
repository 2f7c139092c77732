//! What makes two items peers: the same service, rack, subnet or hypervisor behind their hosts.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::ci::{Ci, Lifecycle};
use super::classes::Class;
use super::graph::Graph;
use super::relations::RelationKind;
use crate::ids::CiId;

/// Sharing of one kind that is named; further ones add nothing.
const SHARED_MOST: usize = 10;

/// What two hosts have in common without either needing the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PeerKind {
    Service,
    /// A location: rack, room, site.
    Rack,
    Subnet,
    Hypervisor,
}

/// One thing that two items share.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Peer {
    pub kind: PeerKind,
    /// The item that they share; none for a subnet, which is no item.
    pub ci: Option<CiId>,
    /// `web-1 and web-2 are both member_of shop`.
    pub sentence: String,
}

impl Graph {
    /// What the hosts of two items share, by kind; nothing where both are on one host, which is more than being peers.
    pub fn peers(&self, a: CiId, b: CiId) -> Vec<Peer> {
        let host = |id: CiId| self.get(id).and_then(|ci| self.get(ci.host.unwrap_or(id)));
        let (Some(one), Some(other)) = (host(a), host(b)) else { return Vec::new() };
        if one.id == other.id {
            return Vec::new();
        }
        let mut peers = Vec::new();
        for (kind, relation) in [
            (PeerKind::Service, RelationKind::MemberOf),
            (PeerKind::Rack, RelationKind::LocatedIn),
            (PeerKind::Hypervisor, RelationKind::HostedOn),
        ] {
            let of = |host: &Ci| -> BTreeSet<CiId> {
                self.relations_from(host.id).filter(|r| r.kind == relation).map(|r| r.to).collect()
            };
            for shared in of(one).intersection(&of(other)).take(SHARED_MOST) {
                let name = self.get(*shared).map_or("?", |ci| ci.name.as_str());
                let sentence = format!("{} and {} are both {relation} {name}", one.name, other.name);
                peers.push(Peer { kind, ci: Some(*shared), sentence });
            }
        }
        peers.extend(self.subnets(one, other));
        peers
    }

    fn subnets(&self, one: &Ci, other: &Ci) -> impl Iterator<Item = Peer> {
        let (ours, theirs) = (self.networks_of(one.id), self.networks_of(other.id));
        let shared: Vec<Peer> = ours
            .into_iter()
            // The same address on both is no network between them: a bridge of each, or an error.
            .filter(|(network, ours)| theirs.get(network).is_some_and(|theirs| theirs.is_disjoint(ours)))
            .map(|(network, _)| {
                let sentence = format!("{} and {} are both in the subnet {network}", one.name, other.name);
                Peer { kind: PeerKind::Subnet, ci: None, sentence }
            })
            .collect();
        shared.into_iter().take(SHARED_MOST)
    }

    /// Networks of a host, each with the host's addresses in it. Agents tell no prefix lengths: /24 and /64 are taken.
    fn networks_of(&self, host: CiId) -> BTreeMap<String, BTreeSet<IpAddr>> {
        let interfaces = self.of_class_on(host, Class::NetworkInterface).filter(|ci| ci.lifecycle == Lifecycle::InUse);
        let mut networks: BTreeMap<String, BTreeSet<IpAddr>> = BTreeMap::new();
        for address in interfaces.flat_map(addresses) {
            networks.entry(network(address)).or_default().insert(address);
        }
        networks
    }
}

/// The addresses of an interface by which others reach its host: loopback, link-local and unspecified ones left out. A prefix
/// length behind an address is passed over.
pub(super) fn addresses(interface: &Ci) -> Vec<IpAddr> {
    let words = interface.text("addresses").unwrap_or_default().split_ascii_whitespace();
    let read = words.filter_map(|word| word.split('/').next()?.parse::<IpAddr>().ok());
    read.map(|address| address.to_canonical()).filter(|address| !is_local(*address)).collect()
}

fn is_local(address: IpAddr) -> bool {
    let link_local = match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    link_local || address.is_loopback() || address.is_unspecified() || address.is_multicast()
}

fn network(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            format!("{}/64", std::net::Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}
