//! The rules over samples of one generation, made ready and parted: what one host's series suffice for runs in its shard,
//! what looks across hosts runs beside them all.

use std::collections::BTreeMap;
use std::sync::Arc;

use watchkeep_rules::metric::{Installation, MetricRules, Rule, Scope, Settings};
use watchkeep_rules::model::{Group, RuleBook};
use watchkeep_rules::promql::ast::{Expr, ExprKind, VectorSelector};
use watchkeep_rules::promql::labels::NAME;
use watchkeep_rules::selector::MatchOp;

use super::asked::Asking;
use super::streamed::StreamRules;

/// How often rules across hosts are evaluated where their group does not say, ms.
pub const INTERVAL: i64 = 15_000;

/// Rules over samples, by where they run.
#[derive(Clone, Debug, Default)]
pub struct MetricGroups {
    /// Each for every host by itself, with its reports.
    pub hosts: Vec<Arc<RuleGroup>>,
    /// The same for rules that read nothing but `up`: they are judged of a silent host, too.
    pub presence: Vec<Arc<RuleGroup>>,
    /// Across hosts, at intervals.
    pub fleet: Vec<Arc<RuleGroup>>,
    /// The rules of `hosts` and `presence` once more, for the series that others write: at intervals, as Prometheus would.
    pub foreign: Vec<Arc<RuleGroup>>,
    /// Those of `hosts`, to be judged as rows come in; by default nothing is.
    pub streaming: Arc<StreamRules>,
    /// Those of `hosts` and `presence` whose annotations ask for samples; the same rules are in `foreign`.
    pub asking: Asking,
}

/// The rules of one group that run in one place.
#[derive(Debug)]
pub struct RuleGroup {
    /// `file;name`, as Prometheus tells groups apart.
    pub key: String,
    pub interval: i64,
    pub rules: Arc<MetricRules>,
    pub settings: Settings,
}

/// Where a rule runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Hosts,
    Presence,
    Fleet,
}

impl MetricGroups {
    /// Parts the rules of a checked book; their templates see the installation.
    ///
    /// # Errors
    /// A rule that was not checked: the sentence names it.
    pub fn new(book: &RuleBook, installation: &Arc<Installation>) -> Result<Self, String> {
        let groups: Vec<(&Group, Vec<Rule>)> =
            book.groups.iter().map(|group| (group, Rule::of_group(book, &group.file, &group.name))).collect();
        // All at once: a rule may read what a rule of another group records across hosts.
        let all = MetricRules::new(groups.iter().flat_map(|(_, rules)| rules.clone()).collect())?;
        let scopes = all.scopes();
        let mut places = all.rules().zip(&scopes).map(|((_, expr), scope)| place(expr, scope));
        let mut parted = Self::default();
        for (group, rules) in groups {
            let mut by_place: BTreeMap<Place, Vec<Rule>> = BTreeMap::new();
            for (rule, place) in rules.into_iter().zip(places.by_ref()) {
                by_place.entry(place).or_default().push(rule);
            }
            for (place, rules) in by_place {
                if place != Place::Fleet {
                    parted.foreign.push(Arc::new(RuleGroup::new(group, rules.clone(), installation)?.foreign(place)));
                }
                let group = RuleGroup::new(group, rules, installation)?;
                let group = Arc::new(if place == Place::Fleet { group } else { group.of_hosts() });
                match place {
                    Place::Hosts => parted.hosts.push(group),
                    Place::Presence => parted.presence.push(group),
                    Place::Fleet => parted.fleet.push(group),
                }
            }
        }
        parted.streaming = Arc::new(StreamRules::new(book, &parted.hosts));
        parted.asking = Asking::of(parted.hosts.iter().chain(&parted.presence));
        Ok(parted)
    }

    /// How far back the rules of single hosts look, ms: the longest range with its offset, and the lookback. What those across
    /// hosts look at beyond that is read from block files.
    pub fn reach_of_hosts(&self) -> i64 {
        reach_of(self.hosts.iter().chain(&self.presence))
    }

    /// How far back those look that are evaluated over series of no one host, ms.
    pub fn reach_across(&self) -> i64 {
        reach_of(self.fleet.iter().chain(&self.foreign))
    }
}

fn reach_of<'a>(groups: impl Iterator<Item = &'a Arc<RuleGroup>>) -> i64 {
    groups.map(|group| group.reach()).max().unwrap_or(0)
}

impl RuleGroup {
    fn new(group: &Group, rules: Vec<Rule>, installation: &Arc<Installation>) -> Result<Self, String> {
        let mut settings = Settings {
            query_offset: group.query_offset,
            limit: usize::try_from(group.limit).unwrap_or(usize::MAX),
            ..Settings::default()
        };
        settings.evaluation.subquery_step = INTERVAL;
        Ok(Self {
            key: format!("{};{}", group.file, group.name),
            interval: group.interval.unwrap_or(INTERVAL).max(1_000),
            rules: Arc::new(MetricRules::new(rules)?.installed(Arc::clone(installation))),
            settings,
        })
    }

    /// The same group for one host's series.
    fn of_hosts(mut self) -> Self {
        (self.settings.hold_missing, self.settings.asks_later) = (true, true);
        self
    }

    /// The same group for series of others, told apart from itself.
    fn foreign(mut self, place: Place) -> Self {
        self.settings.asks_later = true;
        self.key.push_str(if place == Place::Presence { FOREIGN_PRESENCE } else { FOREIGN });
        self
    }

    fn reach(&self) -> i64 {
        let lookback = self.settings.evaluation.lookback;
        let of_rules = self.rules.rules().map(|(_, expr)| reach(expr, lookback));
        of_rules.max().unwrap_or(0).saturating_add(self.settings.query_offset)
    }
}

/// What the part of a group has behind its name that reads nothing but `up`.
pub(super) const PRESENCE: &str = " (up)";
/// What the parts have that are evaluated over series of others.
const FOREIGN: &str = ";foreign";
const FOREIGN_PRESENCE: &str = ";foreign up";

/// The group, `file;name`, that an engine's key is of.
pub(super) fn group_of(key: &str) -> &str {
    let mut behind = [PRESENCE, FOREIGN_PRESENCE, FOREIGN].into_iter();
    behind.find_map(|part| key.strip_suffix(part)).unwrap_or(key)
}

fn place(expr: &Expr, scope: &Scope) -> Place {
    match scope {
        Scope::Fleet { .. } => Place::Fleet,
        Scope::Host if reads_only_up(expr) => Place::Presence,
        Scope::Host => Place::Hosts,
    }
}

fn reads_only_up(expr: &Expr) -> bool {
    let mut only = true;
    walk(expr, &mut |selector, _| {
        let named = |matcher: &watchkeep_rules::selector::Matcher| {
            matcher.label == NAME && matcher.op == MatchOp::Equal && matcher.value == "up"
        };
        only &= selector.matchers.matchers.iter().any(named);
    });
    only
}

/// How far back an expression looks, ms; ranges within ranges add up.
fn reach(expr: &Expr, lookback: i64) -> i64 {
    let mut most = 0;
    walk(expr, &mut |selector, range| {
        most = most.max(range.saturating_add(lookback).saturating_add(selector.when.offset.max(0)));
    });
    most
}

/// Every selector of an expression, with the ranges around it.
fn walk(expr: &Expr, see: &mut dyn FnMut(&VectorSelector, i64)) {
    walk_within(expr, 0, see);
}

fn walk_within(expr: &Expr, around: i64, see: &mut dyn FnMut(&VectorSelector, i64)) {
    match &expr.kind {
        ExprKind::Number(_) | ExprKind::Duration(_) | ExprKind::String(_) => {}
        ExprKind::Vector(selector) => see(selector, around),
        ExprKind::Matrix { selector, range } => see(selector, around.saturating_add(*range)),
        ExprKind::Subquery { expr, range, when, .. } => {
            walk_within(expr, around.saturating_add(*range).saturating_add(when.offset.max(0)), see);
        }
        ExprKind::Call { args, .. } => args.iter().for_each(|arg| walk_within(arg, around, see)),
        ExprKind::Aggregate { param, expr, .. } => {
            param.iter().for_each(|param| walk_within(param, around, see));
            walk_within(expr, around, see);
        }
        ExprKind::Binary(binary) => {
            walk_within(&binary.lhs, around, see);
            walk_within(&binary.rhs, around, see);
        }
        ExprKind::Negate(expr) | ExprKind::Plus(expr) | ExprKind::Paren(expr) => walk_within(expr, around, see),
    }
}
