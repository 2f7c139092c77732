/** Records as the API gives them, and of them what the console shows. Times are milliseconds since 1970. */

export interface Page<T> {
  items: T[];
  next: string | null;
}

export interface Session {
  actor: string;
  name: string;
  role: "viewer" | "responder" | "operator" | "admin";
  mark: string | null;
  has_password: boolean | null;
}

export interface Reason {
  stage?: string;
  sentence: string;
}

export interface Alert {
  rule: string;
  labels: Record<string, string>;
  annotations: Record<string, string>;
  standing: "firing" | "cleared" | "stale";
  first_seen: number;
  last_seen: number;
  count: number;
}

export interface Incident {
  id: string;
  title: string;
  rule: string;
  state: string;
  priority: { level: number; impact: number; urgency: number; reasons: Reason[] };
  ci: string | null;
  ci_in_short?: { id: string; class: string; name: string; agent: string | null } | null;
  agent: string | null;
  service: string | null;
  assignee: string | null;
  alerts: Alert[];
  count: number;
  since: number;
  opened_at: number;
  resolution: { code: string; note: string; at: number; run: string | null } | null;
  timeline: { at: number; sentence: string }[];
  runs: string[];
  attachments: { name: string; run: string; text: string }[];
  links: { kind: string; incident: string }[];
  problem?: string | null;
  workaround?: string | null;
}

/** A line of the list of incidents. */
export interface IncidentRow {
  id: string;
  title: string;
  state: string;
  /** 1 is worst. */
  priority: number;
  agent: string | null;
  service: string | null;
  opened_at: number;
}

export interface Problem {
  id: string;
  title: string;
  state: string;
  incidents: string[];
  opened_at: number;
}

/** A line of the list of problems. */
export interface ProblemRow {
  id: string;
  title: string;
  state: string;
  opened_at: number;
}

/** A line of the list of runs. */
export interface RunRow {
  id: string;
  runbook: string;
  state: string;
  incident: string | null;
  agent: string | null;
  opened_at: number;
}

export interface Step {
  name: string;
  state: string;
  exit: number | null;
  stdout: string;
  stderr: string;
  reason: string;
}

export type PlannedAction =
  | { action: "run"; argv: string[] }
  | { action: "script"; interpreter: string[]; content: string; args: string[] }
  | { action: "service"; name: string; state: string }
  | { action: "package"; names: string[]; state: string }
  | { action: "file"; path: string; state: string }
  | { action: "wait_for"; text: string };

export interface Run {
  id: string;
  runbook: string;
  title: string;
  state: string;
  incident: string | null;
  agent: string;
  plan: { steps: { name: string; rollback: boolean; skipped: boolean; action: PlannedAction }[] };
  plan_hash: string;
  waiting: { reason: Reason; until: number | null } | null;
  approval_by: string | null;
  approved_by: string | null;
  journal: Step[];
  outcome: Reason | null;
  opened_at: number;
  finished_at: number | null;
}

export interface Line {
  seq: number;
  happened_at: number;
  subject: string;
  sentence: string;
  actor: string;
  because: string[];
}

export interface Ci {
  id: string;
  class: string;
  name: string;
  agent: string | null;
  lifecycle: string;
  attributes: Record<string, unknown>;
}

export interface Agent {
  name: string;
  standing: string;
  since: number | null;
  lost?: string | null;
  version?: string | null;
  ci?: string | null;
  labels?: Record<string, string>;
}

export interface Fact {
  cursor: string;
  kind: string;
  happened_at: number;
  subject: { kind: string; id: string };
  actor: string;
}

export interface Status {
  agents: Record<string, number>;
  agents_away: { name: string; since: number | null; lost: string | null }[];
}

/** A relation of an item, with what is at its other end. */
export interface Relation {
  kind: string;
  from: string;
  to: string;
  other: { id: string; class: string; name: string; agent: string | null };
}

/** A rule as Prometheus's API tells it. */
export interface Rule {
  type: "alerting" | "recording";
  name: string;
  query: string;
  health: string;
  lastError?: string;
  state?: "inactive" | "pending" | "firing";
  duration?: number;
  alerts?: unknown[];
}

export interface RuleGroup {
  name: string;
  file: string;
  rules: Rule[];
}

/** A silence as Alertmanager's API tells it; times are RFC 3339. */
export interface Silence {
  id: string;
  status: { state: "pending" | "active" | "expired" };
  matchers: { name: string; value: string; isRegex: boolean; isEqual?: boolean }[];
  startsAt: string;
  endsAt: string;
  createdBy: string;
  comment: string;
}
