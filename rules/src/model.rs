//! Rules and runbooks after checking: what engines and the desk work with.
//!
//! Times are milliseconds. Maps are ordered. Serialisable, so that a generation can be stored and replayed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::selector::Selector;

/// Everything of one generation's files, checked together (every `runbook.use` names a runbook that is here).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RuleBook {
    pub event_rules: Vec<EventRule>,
    /// Rules over samples; loaded, checked and listed, evaluated by the PromQL engine.
    pub alert_rules: Vec<AlertRule>,
    /// Loaded, checked and listed, as alert rules are.
    #[serde(default)]
    pub recording_rules: Vec<RecordingRule>,
    /// The groups of all files, in their order; rules name theirs.
    #[serde(default)]
    pub groups: Vec<Group>,
    /// By name.
    pub runbooks: BTreeMap<String, Runbook>,
}

/// What a group says for its rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// Unique in its file.
    pub name: String,
    pub file: String,
    /// How often rules across hosts are evaluated, ms; none: the default of the installation.
    pub interval: Option<i64>,
    /// The most alerts or series that one rule may bring; 0: no limit.
    pub limit: u32,
    /// How far back rules look, so that late samples are there, ms.
    pub query_offset: i64,
}

/// `record:` — a series computed from others, as in Prometheus.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordingRule {
    /// The metric that it writes.
    pub name: String,
    pub file: String,
    pub group: String,
    /// Its place among the rules of the group, from 0: they are evaluated in this order.
    #[serde(default)]
    pub place: usize,
    pub expr: String,
    pub labels: BTreeMap<String, String>,
}

/// `event:` — a rule over events.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventRule {
    pub name: String,
    pub file: String,
    pub group: String,
    #[serde(rename = "match")]
    pub matches: Selector,
    /// This many events …
    pub count: u32,
    /// … within this long, ms.
    pub within: i64,
    /// Labels that tell alerts of this rule apart; `instance` is always among them.
    pub by: Vec<String>,
    /// Clears the alert whose `by` labels it shares.
    pub clear: Option<Selector>,
    /// Clears after this long without a match, ms.
    pub clear_after: Option<i64>,
    /// Templates of Prometheus's template language, as written.
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    pub incident: IncidentSpec,
    pub runbook: Option<RunbookUse>,
}

/// `alert:` — a rule over samples, as in Prometheus.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AlertRule {
    pub name: String,
    pub file: String,
    pub group: String,
    /// Its place among the rules of the group, from 0: they are evaluated in this order.
    #[serde(default)]
    pub place: usize,
    pub expr: String,
    #[serde(rename = "for")]
    pub hold: i64,
    pub keep_firing_for: i64,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    pub incident: IncidentSpec,
    pub runbook: Option<RunbookUse>,
}

/// `incident:` — how alerts of the rule become incidents; what is not written has the defaults of [`IncidentSpec::default`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IncidentSpec {
    /// Label names; none: alertname and instance, or all labels where there is no instance.
    pub key: Option<Vec<String>>,
    /// The CI that it is about: class, and attribute → a literal or `$labels.NAME`.
    pub ci: Option<CiSelector>,
    /// 1 to 3; none: from the label `severity` (critical 1, warning 2, info 3; without one 2).
    pub urgency: Option<u8>,
    /// The group it is assigned to.
    pub group: Option<String>,
    /// How long all its alerts must be clear before it resolves by itself, ms.
    pub resolve_after: i64,
    /// Names of knowledge articles.
    pub knowledge: Vec<String>,
}

impl Default for IncidentSpec {
    fn default() -> Self {
        Self { key: None, ci: None, urgency: None, group: None, resolve_after: 120_000, knowledge: Vec::new() }
    }
}

/// The classes of the CMDB, by the words that rules, facts and tables use: the one list. Their attributes are the desk's to say.
pub const CI_CLASSES: [&str; 19] = [
    "host",
    "virtual_machine",
    "container",
    "operating_system",
    "disk",
    "filesystem",
    "network_interface",
    "software_package",
    "service_unit",
    "process",
    "listening_endpoint",
    "certificate",
    "database",
    "cluster",
    "business_service",
    "location",
    "person",
    "group",
    "provider",
];

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CiSelector {
    pub class: String,
    pub attributes: BTreeMap<String, Binding>,
}

/// A value that is bound, never pasted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Binding {
    Literal(String),
    /// `$labels.NAME`
    Label(String),
}

/// `runbook:` of a rule — what mends it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunbookUse {
    #[serde(rename = "use")]
    pub name: String,
    /// Parameter → a template of Prometheus's template language.
    pub with: BTreeMap<String, String>,
    /// A Jinja expression; false: the run waits for a person's approval.
    pub when: Option<String>,
}

/// A runbook, read as Ansible's.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Runbook {
    pub name: String,
    pub file: String,
    pub title: String,
    pub owner: Option<String>,
    pub parameters: BTreeMap<String, Parameter>,
    /// A Jinja expression that names the target; `incident.ci.host` by default.
    pub targets: String,
    pub change: ChangeSpec,
    pub guard: Guard,
    pub steps: Vec<Step>,
    pub rollback: Vec<Step>,
    /// Ms; none: the run succeeds with its last step.
    pub verify_within: Option<i64>,
    pub on_success: Vec<Hook>,
    pub on_failure: Vec<Hook>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parameter {
    #[serde(rename = "type")]
    pub kind: ParameterType,
    /// Anchored as written by its author.
    pub pattern: Option<String>,
    pub required: bool,
    pub default: Option<Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParameterType {
    String,
    Integer,
    Number,
    Boolean,
}

/// `change:` — as which change the run is recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeSpec {
    #[serde(rename = "type")]
    pub kind: String,
    pub template: String,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Guard {
    pub approval: Option<Approval>,
    /// At most so many runs of this runbook a host in so many ms (`3/h`).
    pub max_per_host: Option<(u32, i64)>,
    /// Runs at the same time on one host; 1 by default (the lock of a CI).
    pub concurrency_host: Option<u32>,
    /// Ms after a failed run before the same runbook runs on the same host again.
    pub cooldown_after_failure: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Approval {
    /// A Jinja expression; true: a person must approve.
    pub when: String,
    /// `group(NAME)`.
    pub by: String,
    /// Ms after which the run is given up.
    pub within: i64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    pub name: String,
    /// A Jinja expression; false: the step is skipped.
    pub when: Option<String>,
    pub action: StepAction,
    /// Ms.
    pub timeout: i64,
    /// Further attempts after the first.
    pub retries: u32,
    /// The name under which later steps see the result.
    pub register: Option<String>,
    /// Whether it may be sent again where nobody knows if it ran.
    pub idempotent: bool,
    /// A Jinja expression (`log.stdout`) whose value is put onto the incident.
    pub attach: Option<String>,
}

/// States that `service` brings a unit to, `package` packages and `file` a path.
pub const SERVICE_STATES: [&str; 4] = ["started", "stopped", "restarted", "reloaded"];
pub const PACKAGE_STATES: [&str; 3] = ["present", "latest", "absent"];
pub const FILE_STATES: [&str; 3] = ["file", "directory", "absent"];

/// What a step does. Strings are Jinja templates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepAction {
    Run {
        argv: Vec<String>,
    },
    Service {
        name: String,
        state: String,
    },
    /// A script for an interpreter. Its content is no template: what varies travels in the arguments, where no shell reads it.
    Script {
        interpreter: Vec<String>,
        content: String,
        args: Vec<String>,
    },
    Package {
        names: Vec<String>,
        state: String,
    },
    File {
        path: String,
        state: String,
        content: Option<String>,
        /// Permission bits.
        mode: Option<u32>,
        owner: Option<String>,
        group: Option<String>,
    },
    /// Until a condition over the host's newest samples has held for `held` ms.
    WaitFor {
        condition: Condition,
        held: i64,
    },
}

/// `SELECTOR OP NUMBER`, with `$name` bound as a label value. The part of PromQL that `wait_for` takes so far.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Condition {
    /// As written.
    pub text: String,
    pub metric: String,
    /// Label → matcher; a value `$name` is bound from parameters and `host`.
    pub matchers: Selector,
    /// `==`, `!=`, `<`, `<=`, `>`, `>=`.
    pub op: String,
    pub value: f64,
}

/// `on_success` and `on_failure`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hook {
    Notify {
        group: String,
    },
    /// `record: {incident: {state: in_progress}}`
    IncidentState {
        state: String,
    },
}
