//! How one agent stands, and what there is to do about it.

use std::collections::BTreeMap;

use serde::Serialize;
use watchkeep_desk::Millis;

use super::figures::Figures;
use crate::fleet::session::Live;
use crate::store::queries::agents::AgentRow;

/// A host's clock that is off by more than this is told of, ms: certificates and the order of events stand on it.
const SKEW_MS: i64 = 5_000;
/// So many matters that are not acknowledged are more than a connected agent has under way.
const MATTERS: f64 = 256.0;
/// Reports missed in a row, as for silence.
const MISSED: i64 = 3;
/// What a report needs on its way at most, ms.
const ON_THE_WAY: i64 = 5_000;

/// What is wrong with an agent, the gravest first: its health is the first that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    Revoked,
    Quarantined,
    Away,
    Silent,
    Stuck,
    Late,
    Backlog,
    Clock,
    Collectors,
    Healthy,
}

impl Health {
    /// As JSON and selectors have it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Revoked => "revoked",
            Self::Quarantined => "quarantined",
            Self::Away => "away",
            Self::Silent => "silent",
            Self::Stuck => "stuck",
            Self::Late => "late",
            Self::Backlog => "backlog",
            Self::Clock => "clock",
            Self::Collectors => "collectors",
            Self::Healthy => "healthy",
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub health: Health,
    /// What was found.
    pub found: String,
    /// What helps.
    pub help: String,
}

/// What is known of one agent.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Account {
    pub name: String,
    pub health: Health,
    /// `connected`, `away` or `revoked` …
    pub standing: String,
    /// … since when, and why it is away.
    pub since: Millis,
    pub lost: Option<String>,
    pub version: String,
    pub labels: BTreeMap<String, String>,
    /// How long ago its newest report was read, ms; none where there is none of the last five minutes.
    pub lag_ms: Option<i64>,
    /// How far its clock is ahead of the controller's, ms; none while it is away.
    pub clock_skew_ms: Option<i64>,
    pub interval_ms: Option<i64>,
    /// Whether anybody on the host carries out commands.
    pub acts: bool,
    pub figures: Option<Figures>,
    pub findings: Vec<Finding>,
}

impl Account {
    /// Puts together what the store, the live session and the newest reading say, and judges it.
    pub fn of(row: AgentRow, live: Option<&Live>, figures: Option<Figures>, now: i64) -> Self {
        let AgentRow { standing, agent, .. } = row;
        let mut account = Self {
            name: agent.name,
            health: Health::Healthy,
            standing,
            since: agent.since,
            lost: agent.lost,
            version: agent.version,
            labels: agent.labels,
            lag_ms: figures.as_ref().map(|figures| (now - figures.read_at).max(0)),
            clock_skew_ms: live.map(|live| -live.offset_ms),
            interval_ms: live.map(|live| live.interval_ms),
            acts: !agent.cannot_act,
            figures,
            findings: Vec::new(),
        };
        account.findings = account.judge(now);
        account.health = account.findings.first().map_or(Health::Healthy, |finding| finding.health);
        account
    }

    /// What a selector is held against.
    pub fn labels_to_select(&self) -> BTreeMap<String, String> {
        let mut labels = self.labels.clone();
        labels.insert("instance".to_owned(), self.name.clone());
        labels.insert("standing".to_owned(), self.standing.clone());
        labels.insert("health".to_owned(), self.health.word().to_owned());
        labels.insert("version".to_owned(), self.version.clone());
        labels
    }

    /// Takes in which of its collectors do not read.
    pub fn judge_collectors(&mut self, failing: &[String]) {
        if failing.is_empty() {
            return;
        }
        let found = format!("collectors that do not read: {}", failing.join(", "));
        let help = "the agent's log says what each could not read: journalctl -u watchkeep-agent".to_owned();
        self.findings.push(Finding { health: Health::Collectors, found, help });
        self.findings.sort_by_key(|finding| finding.health);
        self.health = self.findings[0].health;
    }

    fn judge(&self, now: i64) -> Vec<Finding> {
        let standing = self.absent().into_iter();
        let mut findings: Vec<Finding> = standing.collect();
        if self.standing == "connected" {
            findings.extend(self.slow(now));
        }
        findings.extend(self.off());
        findings.sort_by_key(|finding| finding.health);
        findings
    }

    /// Why nothing comes from it.
    fn absent(&self) -> Option<Finding> {
        let (health, found, help) = match (self.standing.as_str(), self.lost.as_deref().unwrap_or_default()) {
            ("revoked", _) => (
                Health::Revoked,
                "its certificate is revoked".to_owned(),
                "if the host is to come back, enrol it again with a new token".to_owned(),
            ),
            ("away", "quarantined") => (
                Health::Quarantined,
                "two hosts spoke under its name".to_owned(),
                "enrol the host that is to keep the name, and give the clone one of its own".to_owned(),
            ),
            ("away", "goodbye") => (
                Health::Away,
                "it was stopped and said goodbye".to_owned(),
                "on the host: systemctl start watchkeep-agent".to_owned(),
            ),
            ("away", "agent_down") => (
                Health::Away,
                "its process ended".to_owned(),
                "on the host: systemctl status watchkeep-agent, then journalctl -u watchkeep-agent".to_owned(),
            ),
            ("away", "link_down") => (
                Health::Away,
                "nothing comes over the network".to_owned(),
                "see whether the host is up and reaches the controller's MQTT port; what it measures waits in its spool"
                    .to_owned(),
            ),
            ("away", _) => (
                Health::Away,
                "it has not connected".to_owned(),
                "on the host: systemctl status watchkeep-agent".to_owned(),
            ),
            _ => return None,
        };
        Some(Finding { health, found, help })
    }

    /// What comes late from an agent that is connected.
    fn slow(&self, now: i64) -> Vec<Finding> {
        let mut findings = Vec::new();
        let patience = MISSED * self.interval_ms.unwrap_or(15_000) + ON_THE_WAY;
        match self.lag_ms {
            None if now - self.since.0 > patience => findings.push(Finding {
                health: Health::Silent,
                found: "it is connected, and no report of the last five minutes is here".to_owned(),
                help: "see its log, and whether the controller's disk takes samples: watchkeep status".to_owned(),
            }),
            Some(lag) if lag > patience => findings.push(Finding {
                health: Health::Late,
                found: format!(
                    "its newest report is {} s old, at an interval of {} s",
                    lag / 1000,
                    self.interval_ms.unwrap_or(15_000) / 1000
                ),
                help: "it may be catching up after an absence; if it stays so, see the host's load and the agent's log"
                    .to_owned(),
            }),
            _ => {}
        }
        if let Some(figures) = self.figures.as_ref().filter(|figures| figures.spool_matters > MATTERS) {
            findings.push(Finding {
                health: Health::Backlog,
                found: format!("{} events and results wait in its spool", figures.spool_matters),
                help: "it may be catching up after an absence; if it stays so, see what floods it: watchkeep event list --agent NAME".replace("NAME", &self.name),
            });
        }
        findings
    }

    /// What else is not as it should be.
    fn off(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        if let Some(figures) = self.figures.as_ref().filter(|figures| figures.stuck_threads > 0.0) {
            findings.push(Finding {
                health: Health::Stuck,
                found: format!("{} threads of the agent hang in the kernel", figures.stuck_threads),
                help: "a mount that does not answer, most often: on the host, see dmesg and the mounts of nfs and cifs"
                    .to_owned(),
            });
        }
        if let Some(skew) = self.clock_skew_ms.filter(|skew| skew.abs() > SKEW_MS) {
            let way = if skew > 0 { "ahead of" } else { "behind" };
            findings.push(Finding {
                health: Health::Clock,
                found: format!("its clock is {} s {way} the controller's", skew.abs() / 1000),
                help: "set the time: timedatectl on the host; until then its times are corrected here".to_owned(),
            });
        }
        findings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_000_000;

    fn row(standing: &str, lost: Option<&str>) -> AgentRow {
        let agent = serde_json::json!({
            "name": "web-1", "labels": {"service": "shop"}, "serial": "5a", "revoked": false, "version": "0.1.0",
            "session": null, "lost": lost, "since": 0, "ci": null
        });
        let agent = serde_json::from_value(agent).expect("an agent's record");
        AgentRow { standing: standing.to_owned(), updated_at: Millis(0), agent }
    }

    fn read(at: i64) -> Figures {
        Figures { read_at: at, ..Figures::default() }
    }

    #[test]
    fn each_trouble_has_its_word_and_the_gravest_is_the_health() {
        let live = Live { interval_ms: 15_000, ..Live::default() };
        let late = Live { offset_ms: 60_000, ..live.clone() };
        let cases = [
            ("healthy", row("connected", None), Some(&live), Some(read(NOW - 14_000))),
            ("silent", row("connected", None), Some(&live), None),
            ("late", row("connected", None), Some(&live), Some(read(NOW - 51_000))),
            ("clock", row("connected", None), Some(&late), Some(read(NOW))),
            ("stuck", row("connected", None), Some(&late), Some(Figures { stuck_threads: 1.0, ..read(NOW) })),
            ("backlog", row("connected", None), Some(&late), Some(Figures { spool_matters: 257.0, ..read(NOW) })),
            ("away", row("away", Some("link_down")), None, Some(read(NOW))),
            ("quarantined", row("away", Some("quarantined")), None, None),
            ("revoked", row("revoked", Some("revoked")), None, None),
        ];
        for (word, row, live, figures) in cases {
            let account = Account::of(row, live, figures, NOW);
            assert_eq!(account.health.word(), word, "{account:?}");
            assert_eq!(account.labels_to_select()["health"], word);
            assert_eq!(serde_json::json!(account)["health"], word);
            assert!(account.findings.iter().all(|finding| !finding.help.is_empty()));
        }
    }

    #[test]
    fn an_agent_that_has_just_connected_is_not_silent() {
        let fresh = AgentRow {
            agent: watchkeep_desk::desk::Agent { since: Millis(NOW - 10_000), ..row("connected", None).agent },
            ..row("connected", None)
        };
        let live = Live { interval_ms: 15_000, ..Live::default() };
        assert_eq!(Account::of(fresh, Some(&live), None, NOW).health, Health::Healthy);
    }

    #[test]
    fn collectors_that_fail_are_named_behind_what_is_graver() {
        let mut account = Account::of(row("connected", None), None, Some(read(NOW)), NOW);
        account.judge_collectors(&["nfs".to_owned(), "zfs".to_owned()]);
        assert_eq!(
            (account.health, account.findings[0].found.as_str()),
            (Health::Collectors, "collectors that do not read: nfs, zfs")
        );
        let mut away = Account::of(row("away", Some("goodbye")), None, None, NOW);
        away.judge_collectors(&["nfs".to_owned()]);
        assert_eq!(away.health, Health::Away);
    }
}
