import type { IncidentRow, Problem } from "../api/records";

export interface Group {
  problem: Problem | undefined;
  members: IncidentRow[];
}

/** Incidents under their problems, those by themselves alone; the worst priority first, then the longest open. */
export function groups(incidents: IncidentRow[], problems: Problem[]): Group[] {
  const behind = new Map(problems.flatMap((problem) => problem.incidents.map((incident) => [incident, problem])));
  const found = new Map<string, Group>();
  for (const incident of [...incidents].sort(byUrgency)) {
    const problem = behind.get(incident.id);
    const key = problem?.id ?? incident.id;
    const group = found.get(key) ?? { problem, members: [] };
    group.members.push(incident);
    found.set(key, group);
  }
  // A map keeps the order in which its groups came: that of their most urgent member.
  return [...found.values()];
}

const byUrgency = (a: IncidentRow, b: IncidentRow) => a.priority - b.priority || a.opened_at - b.opened_at;
