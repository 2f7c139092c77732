//! The keys of each kind of mapping, as checked here and as the schemas name them.

pub(crate) const GROUP: [&str; 7] =
    ["name", "interval", "limit", "query_offset", "partial_response_strategy", "labels", "rules"];
pub(crate) const RECORD: [&str; 3] = ["record", "expr", "labels"];
pub(crate) const ALERT: [&str; 8] =
    ["alert", "expr", "for", "keep_firing_for", "labels", "annotations", "incident", "runbook"];
pub(crate) const EVENT: [&str; 11] =
    ["event", "match", "count", "within", "by", "clear", "clear_after", "labels", "annotations", "incident", "runbook"];
pub(crate) const INCIDENT: [&str; 6] = ["key", "ci", "urgency", "group", "resolve_after", "knowledge"];
pub(crate) const RUNBOOK: [&str; 12] = [
    "runbook",
    "title",
    "owner",
    "parameters",
    "targets",
    "change",
    "guard",
    "steps",
    "rollback",
    "verify_within",
    "on_success",
    "on_failure",
];
pub(crate) const SETTINGS: [&str; 7] =
    ["packs", "notify", "settings", "external_url", "external_labels", "retention", "remote_write"];
pub(crate) const REMOTE_WRITE: [&str; 9] = [
    "name",
    "url",
    "remote_timeout",
    "headers",
    "authorization",
    "basic_auth",
    "tls_config",
    "write_relabel_configs",
    "queue_config",
];
pub(crate) const REMOTE_WRITE_AUTHORIZATION: [&str; 2] = ["type", "credentials_file"];
pub(crate) const REMOTE_WRITE_BASIC: [&str; 2] = ["username", "password_file"];
pub(crate) const REMOTE_WRITE_TLS: [&str; 1] = ["ca_file"];
pub(crate) const REMOTE_WRITE_RELABEL: [&str; 4] = ["source_labels", "separator", "regex", "action"];
pub(crate) const REMOTE_WRITE_QUEUE: [&str; 5] =
    ["max_samples_per_send", "batch_send_deadline", "min_backoff", "max_backoff", "disk_bytes_max"];
pub(crate) const RETENTION: [&str; 8] =
    ["samples", "samples_5m", "samples_1h", "events", "inputs", "output", "notices", "facts"];
pub(crate) const GUARD: [&str; 4] = ["approval", "max_per_host", "concurrency", "cooldown_after_failure"];
pub(crate) const STEP: [&str; 13] = [
    "name",
    "when",
    "timeout",
    "retries",
    "register",
    "idempotent",
    "attach",
    "run",
    "script",
    "service",
    "package",
    "file",
    "wait_for",
];
pub(crate) const SCRIPT: [&str; 3] = ["content", "interpreter", "args"];
pub(crate) const KEPT: [&str; 2] = ["name", "state"];
pub(crate) const FILE: [&str; 6] = ["path", "state", "content", "mode", "owner", "group"];
pub(crate) const TEST_FILE: [&str; 5] =
    ["rule_files", "evaluation_interval", "group_eval_order", "tests", "fuzzy_compare"];
pub(crate) const TEST: [&str; 11] = [
    "name",
    "interval",
    "start_timestamp",
    "input_series",
    "input_events",
    "alert_rule_test",
    "promql_expr_test",
    "incident_test",
    "runbook_test",
    "external_labels",
    "external_url",
];
