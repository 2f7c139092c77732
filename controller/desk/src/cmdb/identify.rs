//! Which host it is that an agent speaks for.
//!
//! Identifiers are tried in order, most certain first. Values that say nothing ("To be filled by O.E.M.", serial 0) are no
//! identifiers; others are learned to say nothing by how many hosts have them. Two identifiers that disagree make no silent
//! merge: the hosts stay apart, and a conflict shows both sides.

use super::ci::{Ci, Dispute, Identifier};
use super::classes::Class;
use super::facts::{Conflict, ConflictKind, Difference, Match, Side};
use super::graph::{Context, Graph};
use crate::Reason;
use crate::ids::CiId;

/// What a host is recognised by, most certain first, and the weight of each: about how many times more likely two that
/// share it are one than two, as a power of two. The agent's id is handed out by us and needs no weighing.
pub const KINDS: [(&str, u32); 7] = [
    ("agent", 40),
    ("machine_id", 24),
    ("dmi_serial", 20),
    ("dmi_uuid", 20),
    ("cloud_instance_id", 20),
    ("mac_addresses", 14),
    ("fqdn", 6),
];

/// Two hosts are taken for one from this weight on, where nothing speaks against it.
pub const MERGE_WEIGHT: u32 = 14;

/// A value that this many hosts have identifies none of them.
pub const JUNK_FROM: usize = 5;

/// Values that vendors and images leave behind, in lower case.
const JUNK: [&str; 33] = [
    "",
    "-",
    ".",
    "..",
    "none",
    "n/a",
    "na",
    "nil",
    "null",
    "unknown",
    "undefined",
    "not specified",
    "not available",
    "not applicable",
    "not present",
    "no asset tag",
    "default",
    "default string",
    "empty",
    "invalid",
    "o.e.m.",
    "oem",
    "system serial number",
    "system product name",
    "system manufacturer",
    "chassis serial number",
    "base board serial number",
    "serial number",
    "to be filled by o.e.m.",
    "to be filled by o.e.m",
    "123456789",
    "0123456789",
    "1234567890",
];

/// Names that every machine has.
const JUNK_NAMES: [&str; 8] = [
    "localhost",
    "localhost.localdomain",
    "localhost4",
    "localhost6",
    "localhost.local",
    "debian",
    "ubuntu",
    "raspberrypi",
];

/// Product UUIDs that whole series of boards carry.
const JUNK_UUIDS: [&str; 3] = [
    "03000200-0400-0500-0006-000700080009",
    "00020003-0004-0005-0006-000700080009",
    "12345678-1234-5678-90ab-cddeefaabbcc",
];

/// systemd's words for what runs on another machine's kernel.
const CONTAINERS: [&str; 11] = [
    "container-other",
    "docker",
    "lxc",
    "lxc-libvirt",
    "openvz",
    "podman",
    "proot",
    "pouch",
    "rkt",
    "systemd-nspawn",
    "wsl",
];

/// What a host may be recognised by, from its attributes: normalised, junk left out, in the order of [`KINDS`].
pub fn identifiers_of(ci: &Ci) -> Vec<Identifier> {
    let text = |name: &str| ci.text(name).unwrap_or("");
    // A container may see the board and the cards of the machine beneath it, and so may its neighbours.
    let is_container = CONTAINERS.contains(&text("virtualization"));
    let own = |name: &str| if is_container { "" } else { text(name) };
    let values = [
        ci.agent.as_deref().map(str::to_owned),
        machine_id(text("machine_id")),
        serial(own("dmi_vendor"), own("dmi_serial")),
        uuid(own("dmi_uuid")),
        plain(text("cloud_instance_id")),
        macs(own("mac_addresses")),
        fqdn(text("fqdn")),
    ];
    let known = KINDS.iter().zip(values);
    known.filter_map(|((kind, _), value)| Some(Identifier { kind: (*kind).to_owned(), value: value? })).collect()
}

/// Whether a value says nothing of the machine: a vendor's filler, or one character over and over.
pub fn is_junk(value: &str) -> bool {
    let value = value.trim().to_ascii_lowercase();
    let mut letters = value.bytes().filter(u8::is_ascii_alphanumeric);
    let first = letters.next();
    JUNK.contains(&value.as_str()) || letters.all(|byte| Some(byte) == first)
}

fn plain(value: &str) -> Option<String> {
    (!is_junk(value)).then(|| value.trim().to_ascii_lowercase())
}

/// 32 hexadecimal digits, as in /etc/machine-id; `uninitialized` and zeros are none.
fn machine_id(value: &str) -> Option<String> {
    let id = plain(value)?.replace('-', "");
    (id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(id)
}

/// A serial number means something beside its vendor only.
fn serial(vendor: &str, serial: &str) -> Option<String> {
    let (vendor, serial) = (plain(vendor)?, plain(serial)?);
    (serial.len() >= 4).then(|| format!("{vendor} {serial}"))
}

/// The smaller of both byte orders of the first three fields, so that old and new firmware tables give the same.
fn uuid(value: &str) -> Option<String> {
    let text = plain(value)?;
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    if digits.len() != 32 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let pair = |at: usize| &digits[2 * at..2 * at + 2];
    let order = |places: [usize; 8]| places.iter().map(|at| pair(*at)).collect::<String>() + &digits[16..];
    let (straight, swapped) = (order([0, 1, 2, 3, 4, 5, 6, 7]), order([3, 2, 1, 0, 5, 4, 7, 6]));
    let smaller = straight.min(swapped);
    let dashed = [&smaller[..8], &smaller[8..12], &smaller[12..16], &smaller[16..20], &smaller[20..]].join("-");
    let of_a_series = JUNK_UUIDS.iter().any(|junk| junk.replace('-', "") == digits);
    (!of_a_series).then_some(dashed)
}

/// The sorted addresses of the set. Zeros, broadcast and the ranges of container bridges are no hardware.
fn macs(value: &str) -> Option<String> {
    let split = value.split(|c: char| c == ',' || c.is_ascii_whitespace());
    let addresses = split.map(|mac| mac.trim().to_ascii_lowercase().replace('-', ":"));
    let is_address = |mac: &str| mac.len() == 17 && mac.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':');
    let hardware = addresses.filter(|mac| is_address(mac) && !is_junk(mac) && !mac.starts_with("02:42:"));
    let set: std::collections::BTreeSet<String> = hardware.collect();
    (!set.is_empty()).then(|| set.into_iter().collect::<Vec<_>>().join(","))
}

/// A name with a domain. A bare name is no identifier: every site has a `web-1`.
fn fqdn(value: &str) -> Option<String> {
    let name = plain(value)?.trim_end_matches('.').to_owned();
    (name.contains('.') && !JUNK_NAMES.contains(&name.as_str()) && !name.starts_with("localhost.")).then_some(name)
}

/// What identification concludes of the host that an agent speaks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Verdict {
    /// It is this host, known from before, whose agent is gone.
    pub merge: Option<(CiId, Vec<Match>)>,
    /// Conflicts that hold now, open ones among them.
    pub conflicts: Vec<Conflict>,
    /// Identifiers that too many hosts have, and how many.
    pub junk: Vec<(Identifier, usize)>,
}

/// Who else has been seen with the identifiers that `host` now has, and what follows.
///
/// `fresh` says that the host was never identified before: only then may it turn out to be another. Later, the agent's id
/// is the most certain, and a shared identifier is a conflict.
pub(super) fn judge(graph: &Graph, host: &Ci, identifiers: &[Identifier], fresh: bool, ctx: &Context<'_>) -> Verdict {
    let mut verdict = Verdict::default();
    let mut others: Vec<(CiId, Vec<Match>)> = Vec::new();
    for identifier in identifiers {
        let sharing: Vec<&Ci> = graph.identified_by(identifier).filter(|ci| ci.id != host.id).collect();
        if sharing.len() + 1 >= JUNK_FROM {
            verdict.junk.push((identifier.clone(), sharing.len() + 1));
            continue;
        }
        let shared = Match { identifier: identifier.clone(), weight: weight(&identifier.kind) };
        for ci in sharing {
            match others.iter_mut().find(|(other, _)| *other == ci.id) {
                Some((_, matched)) => matched.push(shared.clone()),
                None => others.push((ci.id, vec![shared.clone()])),
            }
        }
    }
    let known = |id: &CiId| graph.get(*id);
    let rivals = others.len();
    for (id, matched) in others {
        let Some(other) = known(&id) else { continue };
        let differ = differences(identifiers, other);
        let live = other.agent.as_deref().is_some_and(|agent| (ctx.live)(agent));
        let weight: u32 = matched.iter().map(|m| m.weight).sum();
        if !other.is_current() && !differ.is_empty() {
            // Names of retired hosts are given anew.
            continue;
        }
        if live && !is_strong(&matched) && !differ.is_empty() {
            // Two live hosts with one name in common and nothing else: names are given twice all the time.
            continue;
        }
        // Nothing more certain than what they share tells them apart.
        let is_twin = certainty(&matched[0].identifier.kind) < certainty(differ.first().map_or("", |one| &one.kind));
        let kind = match (live, differ.is_empty(), rivals) {
            (true, ..) if is_twin => ConflictKind::Clone,
            (_, false, _) => ConflictKind::Disagreement,
            (_, true, 2..) => ConflictKind::Ambiguous,
            (_, true, _) if fresh && weight >= MERGE_WEIGHT => {
                verdict.merge = Some((id, matched));
                continue;
            }
            (_, true, _) if weight < MERGE_WEIGHT => continue,
            (_, true, _) => ConflictKind::Disagreement,
        };
        let over = matched[0].identifier.clone();
        let sides = [side(host, identifiers, ctx), side(other, &other.more().identifiers, ctx)];
        verdict.conflicts.push(Conflict { kind, over, sides, matched, differ });
    }
    verdict
}

/// Disputes of `host` that no conflict of the verdict upholds.
pub(super) fn settled(host: &Ci, verdict: &Verdict) -> Vec<Dispute> {
    let upheld = |dispute: &&Dispute| {
        verdict.conflicts.iter().any(|conflict| conflict.sides[1].ci == dispute.with && conflict.over == dispute.over)
    };
    host.more().conflicts.iter().filter(|dispute| !upheld(dispute)).cloned().collect()
}

fn is_strong(matched: &[Match]) -> bool {
    matched.iter().any(|m| m.weight >= MERGE_WEIGHT)
}

/// The place in [`KINDS`], 0 the most certain; past the end for what is not there.
fn certainty(kind: &str) -> usize {
    KINDS.iter().position(|(known, _)| *known == kind).unwrap_or(KINDS.len())
}

fn weight(kind: &str) -> u32 {
    KINDS.iter().find(|(known, _)| *known == kind).map_or(0, |(_, weight)| *weight)
}

/// Identifiers of which both have one, and not the same. The agent's name is left out: that it changed is the question.
fn differences(identifiers: &[Identifier], other: &Ci) -> Vec<Difference> {
    let theirs = |kind: &str| other.more().identifiers.iter().find(|identifier| identifier.kind == kind);
    let both =
        identifiers.iter().filter(|ours| ours.kind != "agent").filter_map(|ours| Some((ours, theirs(&ours.kind)?)));
    let differing = both.filter(|(ours, theirs)| ours.value != theirs.value && !overlap(ours, theirs));
    let difference = |(ours, theirs): (&Identifier, &Identifier)| Difference {
        kind: ours.kind.clone(),
        here: ours.value.clone(),
        there: theirs.value.clone(),
    };
    differing.map(difference).collect()
}

/// A card more or less makes no other machine: of two sets of addresses, one contains the other.
fn overlap(ours: &Identifier, theirs: &Identifier) -> bool {
    let set = |identifier: &Identifier| {
        identifier.value.split(',').map(str::to_owned).collect::<std::collections::BTreeSet<_>>()
    };
    ours.kind == "mac_addresses" && (set(ours).is_subset(&set(theirs)) || set(theirs).is_subset(&set(ours)))
}

fn side(ci: &Ci, identifiers: &[Identifier], ctx: &Context<'_>) -> Side {
    debug_assert_eq!(ci.class, Class::Host, "only hosts are identified");
    let live = ci.agent.as_deref().is_some_and(|agent| (ctx.live)(agent));
    Side {
        ci: ci.id,
        name: ci.name.clone(),
        agent: ci.agent.as_deref().map(str::to_owned),
        live,
        identifiers: identifiers.to_vec(),
    }
}

pub(super) fn match_reason(shared: &Match) -> Reason {
    let Match { identifier: Identifier { kind, value }, weight } = shared;
    Reason::new("identification", format!("{kind} {value} is the same (weight {weight})"))
}

pub(super) fn junk_reason(identifier: &Identifier, hosts: usize) -> Reason {
    let Identifier { kind, value } = identifier;
    Reason::new("identification", format!("{kind} {value} is on {hosts} hosts and identifies none of them"))
}

pub(super) fn conflict_reason(conflict: &Conflict) -> Reason {
    let [ours, theirs] = &conflict.sides;
    let Identifier { kind, value } = &conflict.over;
    let what = match conflict.kind {
        ConflictKind::Clone => "both are live: one was cloned from the other, give it an identity of its own",
        ConflictKind::Disagreement => "what else is known of them differs: they stay two until somebody decides",
        ConflictKind::Ambiguous => "more than one known host fits: it stays a host of its own until somebody decides",
    };
    let words = |one: &Difference| format!("{} is {} here and {} there", one.kind, one.here, one.there);
    let differ: Vec<String> = conflict.differ.iter().map(words).collect();
    let differ = if differ.is_empty() { String::new() } else { format!(" ({})", differ.join("; ")) };
    let sentence = format!("{} and {} share {kind} {value}, and {what}{differ}", ours.name, theirs.name);
    Reason::new("identification", sentence)
}
