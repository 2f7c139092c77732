//! Scenes: what happens to some of the hosts, each so long after the start.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::str::FromStr;
use std::time::Duration;

use super::Plan;

/// Hosts by their numbers, both ends included: `3`, `1-3`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hosts {
    first: NonZeroUsize,
    last: NonZeroUsize,
}

impl Hosts {
    /// Whether the host of this number, from 1, is among them.
    pub fn contain(self, number: usize) -> bool {
        (self.first.get()..=self.last.get()).contains(&number)
    }
}

impl FromStr for Hosts {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        match (first.parse(), last.parse()) {
            (Ok(first), Ok(last)) if first <= last => Ok(Self { first, last }),
            _ => Err(format!("\"{text}\" names no hosts; write for example 1-3")),
        }
    }
}

/// A package gets another version.
#[derive(Clone, Debug)]
pub struct Upgrade {
    pub package: String,
    pub to: String,
    pub hosts: Hosts,
    pub at: Duration,
}

/// A unit fails, and is mended.
#[derive(Clone, Debug)]
pub struct Outage {
    pub unit: String,
    pub hosts: Hosts,
    pub at: Duration,
    /// How long it stays down.
    pub length: Duration,
}

/// One thing that happens to one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scene {
    Upgrade { package: String, to: String },
    Break { unit: String },
    Mend { unit: String },
}

/// What is to happen to the host of this number, from 1, in order of time.
pub fn of(plan: &Plan, number: usize) -> VecDeque<(Duration, Scene)> {
    let mut scenes = Vec::new();
    if let Some(Upgrade { package, to, at, .. }) = plan.upgrade.as_ref().filter(|it| it.hosts.contain(number)) {
        scenes.push((*at, Scene::Upgrade { package: package.clone(), to: to.clone() }));
    }
    if let Some(Outage { unit, at, length, .. }) = plan.outage.as_ref().filter(|it| it.hosts.contain(number)) {
        scenes.push((*at, Scene::Break { unit: unit.clone() }));
        scenes.push((*at + *length, Scene::Mend { unit: unit.clone() }));
    }
    scenes.sort_by_key(|(at, _)| *at);
    scenes.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_a_number_or_a_range() {
        let some: Hosts = "2-4".parse().expect("a range");
        assert_eq!((1..=5).filter(|number| some.contain(*number)).collect::<Vec<_>>(), [2, 3, 4]);
        let one: Hosts = "3".parse().expect("a number");
        assert!(one.contain(3) && !one.contain(2));
        for wrong in ["", "0", "3-1", "a-b", "1-"] {
            assert!(wrong.parse::<Hosts>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn each_host_has_its_own_scenes_in_order_of_time() {
        let hosts = |text: &str| text.parse().expect("hosts");
        let (package, unit) = ("shop".to_owned(), "shop.service".to_owned());
        let (at, length) = (Duration::from_secs(3), Duration::from_secs(9));
        let upgrade = Upgrade { package, to: "2".to_owned(), hosts: hosts("1-2"), at: Duration::from_secs(5) };
        let outage = Outage { unit, hosts: hosts("2"), at, length };
        let plan = Plan { upgrade: Some(upgrade), outage: Some(outage), ..Plan::default() };
        let times = |number| of(&plan, number).iter().map(|(at, _)| at.as_secs()).collect::<Vec<_>>();
        assert_eq!((times(1), times(2), times(3)), (vec![5], vec![3, 5, 12], vec![]));
    }
}
