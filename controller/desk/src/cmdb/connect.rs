//! What follows from connections: `connects_to` from process to endpoint, `depends_on` between the units behind them and the
//! services of both hosts.
//!
//! A relation here is a function of what is known: the client's connections, the addresses and endpoints of hosts, what
//! runs behind them. Whenever one of those changes, [`Graph::follow`] derives again and brings relations in line, so the
//! order in which hosts and sections are heard does not matter. An end that goes away for a while (restarted, powered
//! off, or up again without its address) keeps its relations: that it is gone is just what they explain. A connection
//! unseen for `relation_unseen_after` ends them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::ci::{Ci, Lifecycle};
use super::classes::{Class, Value};
use super::facts::{CmdbFact, Edge};
use super::graph::{Context, Graph, Outcome, RelationKey};
use super::links::{Link, Links};
use super::peers;
use super::relations::{LINK_CLAIM, RelationKind};
use crate::ids::CiId;
use crate::time::spoken;
use crate::{Actor, Millis, Reason};

/// Hosts that claim the dependency of one service on another; more would add nothing.
const SERVICE_CLAIMS_MOST: usize = 32;
/// Sentences of one fact; of further ones the number is said.
const REASONS_MOST: usize = 5;

/// What one round brings, of all hosts that it concerns.
#[derive(Default)]
struct Round {
    came: BTreeSet<Edge>,
    went: BTreeSet<Edge>,
    why: BTreeSet<String>,
    /// Relations that hold, each with since when it is not seen.
    seen: BTreeMap<RelationKey, Option<Millis>>,
}

impl Graph {
    /// The addresses by which others reach a host, as its interfaces now say.
    pub(super) fn addresses_of(&self, host: CiId) -> BTreeSet<IpAddr> {
        let there = self.of_class_on(host, Class::NetworkInterface).filter(|ci| ci.lifecycle == Lifecycle::InUse);
        there.flat_map(peers::addresses).collect()
    }

    /// Brings in line what follows from connections from and to a host of which something changed. `before` are the
    /// addresses that it had.
    pub(super) fn follow(&mut self, host: CiId, before: BTreeSet<IpAddr>, ctx: &Context<'_>, out: &mut Outcome) {
        let addresses: BTreeSet<IpAddr> = before.into_iter().chain(self.addresses_of(host)).collect();
        let mut clients: BTreeSet<CiId> = addresses.iter().flat_map(|address| self.clients_of(*address)).collect();
        clients.insert(host);
        let mut round = Round::default();
        for client in clients {
            let concerns = |link: &Link| client == host || addresses.contains(&link.remote.ip());
            self.follow_links(client, concerns, ctx, &mut round);
        }
        let seen = std::mem::take(&mut round.seen);
        self.tell_round(host, round, ctx, out);
        for (key, unseen_since) in seen {
            self.see(key, unseen_since);
        }
    }

    fn tell_round(&mut self, host: CiId, round: Round, ctx: &Context<'_>, out: &mut Outcome) {
        if round.came.is_empty() && round.went.is_empty() {
            return;
        }
        let more = round.why.len().saturating_sub(REASONS_MOST);
        let mut reasons: Vec<Reason> =
            round.why.into_iter().take(REASONS_MOST).map(|why| Reason::new("connection", why)).collect();
        if more > 0 {
            reasons.push(Reason::new("connection", format!("and {more} more")));
        }
        let (came, went) = (round.came.into_iter().collect(), round.went.into_iter().collect());
        self.decide(host, ctx.at, Actor::Controller, reasons, CmdbFact::Followed { came, went }, ctx, out);
    }

    /// The connections of one client that `concerns` takes, derived again; what comes and goes is entered in the round.
    fn follow_links(&mut self, client: CiId, concerns: impl Fn(&Link) -> bool, ctx: &Context<'_>, round: &mut Round) {
        let Some(known) = self.get(client).filter(|ci| !ci.more().links.is_empty()) else { return };
        let mut links = known.more().links.clone();
        let held = held_by(&links);
        let mut ended: BTreeMap<RelationKey, String> = BTreeMap::new();
        for link in links.values_mut().filter(|link| concerns(link)) {
            let before = link.holds.clone();
            (link.holds, link.why_none) = match self.derive(client, link, ctx) {
                Ok(holds) => (holds, String::new()),
                Err(why) => (BTreeSet::new(), why),
            };
            let said = |why: &str| format!("{} on {} to {}: {why}", link.process, self.name_of(client), link.remote);
            let why = if link.why_none.is_empty() { "something else is behind it now" } else { &link.why_none };
            ended.extend(before.difference(&link.holds).map(|key| (*key, said(why))));
            if link.holds.iter().any(|key| !self.is_claimed(*key, client)) {
                round.why.insert(said("seen at both ends"));
            }
        }
        links.retain(|_, link| !self.is_over(link, ctx));
        let holds = held_by(&links);
        for key in holds.keys().filter(|key| !self.is_claimed(**key, client) && self.has_room(**key)) {
            round.came.insert(self.edge(*key, client));
        }
        for key in held.keys().filter(|key| !holds.contains_key(key) && self.is_claimed(**key, client)) {
            round.went.insert(self.edge(*key, client));
            round.why.extend(ended.remove(key));
            round.came.extend(self.heir(*key, client, &round.came));
        }
        round.seen.extend(holds);
        self.keep_links(client, links);
    }

    /// The relations that follow from a connection.
    ///
    /// Errors: why there are none, as a sentence.
    fn derive(&self, client: CiId, link: &Link, ctx: &Context<'_>) -> Result<BTreeSet<RelationKey>, String> {
        let host = self.get(client).filter(|host| host.is_current() && host.more().merged_into.is_none());
        let host = host.ok_or("its host is retired")?;
        let unseen_after = ctx.settings.relation_unseen_after;
        if self.is_over(link, ctx) {
            return Err(format!("unseen for {}", spoken(unseen_after)));
        }
        if host.lifecycle == Lifecycle::Missing && ctx.at.since(host.lifecycle_since.learned) >= unseen_after {
            return Err(format!("its host has been missing for {}", spoken(unseen_after)));
        }
        let there = |ci: &&Ci| ci.is_current();
        let process = self.on_host(client, Class::Process, &link.process).filter(there);
        let process = process.ok_or("its process is not known yet")?;
        let endpoint = self.endpoint_of(client, link)?;
        let mut holds = BTreeSet::from([(process.id, RelationKind::ConnectsTo, endpoint.id)]);
        let user = self.unit_of(process).unwrap_or(process.id);
        let used = self.behind(endpoint);
        let server = endpoint.host.unwrap_or(endpoint.id);
        let services = |host: CiId| self.services_of(host).map(|(_, _, service)| service).collect::<BTreeSet<_>>();
        let (ours, theirs) = (services(client), services(server));
        let pairs = ours.iter().flat_map(|our| theirs.difference(&ours).map(|their| (*our, *their)));
        let depends = used.into_iter().map(|used| (user, used)).chain(pairs);
        holds.extend(depends.filter(|(a, b)| a != b).map(|(a, b)| (a, RelationKind::DependsOn, b)));
        Ok(holds)
    }

    /// The endpoint at the other end: of the one host that has the address, the one that listens on it.
    fn endpoint_of(&self, client: CiId, link: &Link) -> Result<&Ci, String> {
        let address = link.remote.ip();
        let mut hosts: Vec<&Ci> = self.hosts_at(address).filter(|host| host.is_current()).collect();
        if hosts.iter().any(|host| host.id == client) {
            // What a host sends to an address of its own never leaves it.
            hosts.retain(|host| host.id == client);
        }
        let host = match hosts.as_slice() {
            [] => {
                let before = self.endpoint_before(link);
                return before.ok_or_else(|| format!("no host is known to have the address {address}"));
            }
            [host] => host.id,
            several => {
                let names: BTreeSet<&str> = several.iter().map(|host| host.name.as_str()).collect();
                let names: Vec<&str> = names.into_iter().take(REASONS_MOST).collect();
                let count = several.len();
                return Err(format!("{count} hosts have the address {address} ({}): it may be any", names.join(", ")));
            }
        };
        let listening = self.of_class_on(host, Class::ListeningEndpoint).filter(|ci| ci.is_current());
        let fitting = listening.filter_map(|ci| Some((fit(ci, link)?, ci.lifecycle != Lifecycle::InUse, ci.id, ci)));
        let best = fitting.min_by_key(|(fit, is_gone, id, _)| (*is_gone, *fit, *id)).map(|(.., ci)| ci);
        best.ok_or_else(|| {
            let port = link.remote.port();
            format!("nothing known listens on {} port {port} of {}", link.protocol, self.name_of(host))
        })
    }

    /// The endpoint that the connection led to, while its host is there: it lost its address, or has yet to get it after a
    /// start.
    fn endpoint_before(&self, link: &Link) -> Option<&Ci> {
        let ends = link.holds.iter().filter(|(_, kind, _)| *kind == RelationKind::ConnectsTo);
        let mut endpoints =
            ends.filter_map(|(.., endpoint)| self.get(*endpoint)).filter(|endpoint| endpoint.is_current());
        endpoints.find(|endpoint| {
            let host = endpoint.host.and_then(|host| self.get(host));
            fit(endpoint, link).is_some() && host.is_some_and(Ci::is_current)
        })
    }

    /// What is behind an endpoint: units where there are any, else processes, else its host. While nothing listens, what
    /// did so last.
    fn behind(&self, endpoint: &Ci) -> BTreeSet<CiId> {
        let host = endpoint.host.unwrap_or(endpoint.id);
        let processes = self.of_class_on(host, Class::Process).filter(|ci| ci.lifecycle != Lifecycle::Retired);
        let listening = processes.filter_map(|process| {
            let relation = self.relation((process.id, RelationKind::ListensOn, endpoint.id))?;
            // One that holds is later than any that ended.
            Some((relation.until.map_or(Millis(i64::MAX), |until| until.learned), process))
        });
        let listening: Vec<(Millis, &Ci)> = listening.collect();
        let last = listening.iter().map(|(until, _)| *until).max();
        let last = listening.into_iter().filter(|(until, _)| Some(*until) == last).map(|(_, process)| process);
        let behind: BTreeSet<CiId> = last.map(|process| self.unit_of(process).unwrap_or(process.id)).collect();
        if behind.is_empty() { BTreeSet::from([host]) } else { behind }
    }

    /// The unit that a process belongs to, by its attribute or its key.
    fn unit_of(&self, process: &Ci) -> Option<CiId> {
        let unit = process.text("unit").or_else(|| process.key.split_once('@').map(|(_, unit)| unit))?;
        let unit = self.on_host(process.host?, Class::ServiceUnit, unit)?;
        unit.is_current().then_some(unit.id)
    }

    fn is_over(&self, link: &Link, ctx: &Context<'_>) -> bool {
        link.gone_at.is_some_and(|gone| ctx.at.since(gone) >= ctx.settings.relation_unseen_after)
    }

    fn is_claimed(&self, key: RelationKey, client: CiId) -> bool {
        let by = self.claim(key, client);
        self.relation(key).is_some_and(|relation| relation.claims.contains(&by))
    }

    /// Services have many hosts, of which a few are enough to say so.
    fn has_room(&self, key: RelationKey) -> bool {
        !self.is_between_services(key)
            || self.relation(key).is_none_or(|relation| relation.claims.len() < SERVICE_CLAIMS_MOST)
    }

    /// The host that goes on claiming what a client lets go of, where others were left out for want of room.
    fn heir(&self, key: RelationKey, client: CiId, coming: &BTreeSet<Edge>) -> Option<Edge> {
        if !self.is_between_services(key) || self.has_room(key) {
            return None;
        }
        let members = self.relations_to(key.0).filter(|r| r.kind == RelationKind::MemberOf && r.from != client);
        let holding = members.filter_map(|r| self.get(r.from)).filter(|host| is_holding(host, key));
        let left_out = holding.map(|host| host.id).filter(|host| !self.is_claimed(key, *host));
        left_out.map(|heir| self.edge(key, heir)).find(|edge| !coming.contains(edge))
    }

    fn is_between_services(&self, (from, ..): RelationKey) -> bool {
        self.get(from).is_some_and(|ci| ci.class == Class::BusinessService)
    }

    fn edge(&self, key: RelationKey, client: CiId) -> Edge {
        Edge { from: key.0, kind: key.1, to: key.2, by: self.claim(key, client) }
    }

    /// What is on the client is claimed by its own connections; what is between services, host by host.
    fn claim(&self, key: RelationKey, client: CiId) -> String {
        if self.is_between_services(key) { format!("{LINK_CLAIM} of {client}") } else { LINK_CLAIM.to_owned() }
    }

    fn name_of(&self, ci: CiId) -> &str {
        self.get(ci).map_or("?", |ci| ci.name.as_str())
    }
}

/// Relation → since when no connection that holds it is seen; none while one is.
fn held_by(links: &Links) -> BTreeMap<RelationKey, Option<Millis>> {
    let mut held: BTreeMap<RelationKey, Option<Millis>> = BTreeMap::new();
    for link in links.values() {
        for key in &link.holds {
            let unseen = held.entry(*key).or_insert(link.gone_at);
            *unseen = unseen.zip(link.gone_at).map(|(one, other)| one.max(other));
        }
    }
    held
}

fn is_holding(host: &Ci, key: RelationKey) -> bool {
    host.more().links.values().any(|link| link.holds.contains(&key))
}

/// How well an endpoint fits the far end of a connection, best first: its very address, any of the family, any at all.
fn fit(endpoint: &Ci, link: &Link) -> Option<u8> {
    let is_protocol = endpoint.text("protocol").is_none_or(|protocol| protocol == link.protocol);
    let is_port = endpoint.attribute("port") == Some(&Value::Integer(i64::from(link.remote.port())));
    let address: IpAddr = endpoint.text("address")?.parse().ok().filter(|_| is_protocol && is_port)?;
    let wanted = link.remote.ip();
    match address.to_canonical() {
        address if address == wanted => Some(0),
        IpAddr::V4(address) if address.is_unspecified() && wanted.is_ipv4() => Some(1),
        // A socket for all addresses of IPv6 takes IPv4 as well unless its owner says otherwise, which nobody tells.
        IpAddr::V6(address) if address.is_unspecified() => Some(2),
        _ => None,
    }
}
