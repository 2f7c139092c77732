/** What is open, by problem and priority; what runs or waits; how the fleet stands. */
import { Alert, Card, Group, Loader, SimpleGrid, Stack, Text, Title } from "@mantine/core";
import { useQueries, useQuery } from "@tanstack/react-query";

import { api, read } from "../api/client";
import type { IncidentRow, Page, Problem, ProblemRow, RunRow, Status } from "../api/records";
import { Ago } from "../components/ago";
import { FilterInput, Pager, useFilter } from "../components/filter";
import { Go } from "../components/go";
import { Level, State } from "../components/marks";
import { Trouble } from "../components/trouble";
import { isOpen } from "./run";
import { plain, words } from "../words";
import { groups } from "./grouped";

export default function Now() {
  const [{ search, priority, cursor }] = useFilter();
  const incidents = useQuery({
    queryKey: ["incidents", { search, priority, cursor }],
    queryFn: () =>
      read<Page<IncidentRow>>(api.GET("/api/v1/incidents", { params: { query: { search, priority, cursor, limit: 100 } } })),
  });
  const problems = useProblems();
  const isFiltered = Boolean(search ?? priority ?? cursor);
  return (
    <Stack>
      <Title order={1} size="h3">
        {words.now.incidents}
      </Title>
      <Group align="end">
        <FilterInput name="search" label={words.now.filter} />
        <FilterInput name="priority" label={words.now.priority} />
      </Group>
      {incidents.error && <Trouble error={incidents.error} again={() => void incidents.refetch()} />}
      {incidents.isPending && <Loader aria-label={words.now.incidents} />}
      {incidents.data?.items.length === 0 && (
        <Alert variant="default" title={isFiltered ? words.now.filtered : words.now.quiet}>
          {!isFiltered && words.now.quietTry}
        </Alert>
      )}
      {groups(incidents.data?.items ?? [], problems).map(({ problem, members }) => (
        <Card withBorder padding="sm" key={problem?.id ?? members[0]?.id}>
          {problem && (
            <Title order={2} size="h5" mb={4}>
              <Go to={`/problems/${problem.id}`}>{problem.id}</Go> {problem.title}
            </Title>
          )}
          <Stack gap={6} pl={problem ? "md" : 0}>
            {members.map((incident) => (
              <IncidentLine key={incident.id} incident={incident} />
            ))}
          </Stack>
        </Card>
      ))}
      <Pager next={incidents.data?.next} />
      <SimpleGrid cols={{ base: 1, md: 2 }}>
        <Running />
        <Fleet />
      </SimpleGrid>
    </Stack>
  );
}

/** More than this many open problems are told by their incidents alone. */
const PROBLEMS = 20;

/** The open problems with their members. */
function useProblems(): Problem[] {
  const open = useQuery({
    queryKey: ["problems"],
    queryFn: () => read<Page<ProblemRow>>(api.GET("/api/v1/problems", { params: { query: { limit: PROBLEMS } } })),
  });
  return useQueries({
    queries: (open.data?.items ?? []).map(({ id }) => ({
      queryKey: ["problems", id],
      queryFn: () => read<Problem>(api.GET("/api/v1/problems/{id}", { params: { path: { id } } })),
    })),
    combine: (found) => found.flatMap(({ data }) => data ?? []),
  });
}

function IncidentLine({ incident }: { incident: IncidentRow }) {
  return (
    <Group gap="xs" wrap="nowrap" align="start">
      <Level level={incident.priority} />
      <div style={{ minWidth: 0, overflowWrap: "anywhere" }}>
        <Go to={`/incidents/${incident.id}`}>{`${incident.id} ${incident.title}`}</Go>
        <Text size="sm">
          {plain(incident.state)}, <Ago at={incident.opened_at} />
          {incident.agent && `, ${incident.agent}`}
          {incident.service && `, ${incident.service}`}
        </Text>
      </div>
    </Group>
  );
}

function Running() {
  const runs = useQuery({
    queryKey: ["runs", "newest"],
    queryFn: () => read<Page<RunRow>>(api.GET("/api/v1/runs", { params: { query: { limit: 50 } } })),
  });
  const open = runs.data?.items.filter(({ state }) => isOpen(state));
  return (
    <Card withBorder padding="sm">
      <Title order={2} size="h5" mb="xs">
        <Go to="/runs">{words.now.running}</Go>
      </Title>
      {runs.error && <Trouble error={runs.error} />}
      {open?.length === 0 && <Text size="sm">{words.now.nothingRuns}</Text>}
      {open?.map((run) => (
        <Group key={run.id} gap="xs" mb={4}>
          <State state={run.state} />
          <Text size="sm">
            {run.incident ? <Go to={`/incidents/${run.incident}`}>{run.id}</Go> : run.id} {run.runbook} ({run.agent})
          </Text>
        </Group>
      ))}
    </Card>
  );
}

function Fleet() {
  const status = useQuery({ queryKey: ["status"], queryFn: () => read<Status>(api.GET("/api/v1/status")) });
  return (
    <Card withBorder padding="sm">
      <Title order={2} size="h5" mb="xs">
        <Go to="/fleet">{words.now.fleet}</Go>
      </Title>
      {status.error && <Trouble error={status.error} />}
      <Group>
        {Object.entries(status.data?.agents ?? {}).map(([standing, count]) => (
          <Text key={standing}>
            <b>{count}</b> {plain(standing)}
          </Text>
        ))}
      </Group>
      {status.data?.agents_away.map((agent) => (
        <Text size="sm" key={agent.name}>
          {agent.name}: {plain(agent.lost ?? "away")} {agent.since !== null && <Ago at={agent.since} />}
        </Text>
      ))}
    </Card>
  );
}
