/** One incident: what broke, since when, how bad and why, what was tried, and what to do now. */
import { Alert, Button, Card, Code, Drawer, Group, List, Loader, Stack, Text, Timeline, Title } from "@mantine/core";
import { useDisclosure, useHotkeys } from "@mantine/hooks";
import { useQueries, useQuery } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { Suspense, lazy } from "react";

import { api, read } from "../api/client";
import type { Alert as Member, Incident, Line, Run } from "../api/records";
import { Ago } from "../components/ago";
import { Go } from "../components/go";
import { Level, State } from "../components/marks";
import { Section } from "../components/section";
import { Trouble } from "../components/trouble";
import { plain, words } from "../words";
import { Acts } from "./acts";
import { RunCard } from "./run";

const Graph = lazy(() => import("../components/graph"));

/** The newest runs; the page of runs has all. */
const RUNS = 10;

export default function IncidentPage() {
  const { id = "" } = useParams({ strict: false }) as { id?: string };
  const incident = useQuery({
    queryKey: ["incidents", id],
    queryFn: () => read<Incident>(api.GET("/api/v1/incidents/{id}", { params: { path: { id } } })),
  });
  const runs = useQueries({
    queries: (incident.data?.runs ?? []).slice(-RUNS).map((run) => ({
      queryKey: ["runs", run],
      queryFn: () => read<Run>(api.GET("/api/v1/runs/{id}", { params: { path: { id: run } } })),
    })),
    combine: (found) => found.flatMap(({ data }) => data ?? []).reverse(),
  });
  if (incident.error) return <Trouble error={incident.error} again={() => void incident.refetch()} />;
  if (!incident.data) return <Loader aria-label={words.pages.incident} />;
  const shown = incident.data;
  const waits = runs.filter((run) => run.finished_at === null);
  const ended = runs.filter((run) => run.finished_at !== null);
  return (
    <Stack maw={1100}>
      <Head incident={shown} />
      {shown.workaround && (
        <Alert variant="default" title={words.incident.workaround}>
          {shown.workaround}
        </Alert>
      )}
      {/* What waits for a person stands above all else. */}
      {waits.map((run) => (
        <RunCard key={run.id} run={run} />
      ))}
      <Acts incident={shown} />
      <Alerts alerts={shown.alerts} />
      {shown.ci && (
        <Suspense fallback={<Loader size="sm" />}>
          <Graph ci={shown.ci} />
        </Suspense>
      )}
      <Section title={words.incident.runs}>
        {shown.runs.length === 0 && <Text size="sm">{words.incident.noRuns}</Text>}
        {ended.map((run) => (
          <RunCard key={run.id} run={run} />
        ))}
      </Section>
      <Section title={words.incident.timeline}>
        <Timeline active={shown.timeline.length} bulletSize={12} lineWidth={2}>
          {[...shown.timeline].reverse().map((entry, index) => (
            <Timeline.Item key={`${entry.at} ${index}`}>
              <Text size="sm" style={{ overflowWrap: "anywhere" }}>
                {entry.sentence}
              </Text>
              <Text size="xs">
                <Ago at={entry.at} />
              </Text>
            </Timeline.Item>
          ))}
        </Timeline>
      </Section>
    </Stack>
  );
}

function Head({ incident }: { incident: Incident }) {
  const { ci_in_short: ci, resolution } = incident;
  return (
    <header>
      <Group gap="xs">
        <Level level={incident.priority.level} />
        <State state={incident.state} />
        <Text size="sm">
          {incident.id}, {words.incident.since} <Ago at={incident.since} />
        </Text>
      </Group>
      <Title order={1} size="h3" my={6} style={{ overflowWrap: "anywhere" }}>
        {incident.title}
      </Title>
      <Text size="sm">
        {ci && <Go to={`/cmdb/${ci.id}`}>{`${ci.class} ${ci.name}`}</Go>}
        {ci?.agent && ci.agent !== ci.name && ` ${words.incident.by} ${ci.agent}`}
        {incident.problem && <Go to={`/problems/${incident.problem}`}>{` ${incident.problem}`}</Go>}
      </Text>
      {resolution && (
        <Text fw={600} mt={4}>
          {words.incident.resolved} <Ago at={resolution.at} />: {resolution.note || plain(resolution.code)}
        </Text>
      )}
      <Text size="sm" mt="xs" fw={600}>
        {words.incident.priorityWhy}
      </Text>
      <List size="sm">
        {incident.priority.reasons.map((reason) => (
          <List.Item key={reason.sentence}>{reason.sentence}</List.Item>
        ))}
      </List>
      <Why id={incident.id} />
    </header>
  );
}

/** The whole story from the ledger, with the reasons of each step. */
function Why({ id }: { id: string }) {
  const [isOpen, drawer] = useDisclosure();
  useHotkeys([["w", drawer.toggle]]);
  const story = useQuery({
    queryKey: ["incidents", id, "why"],
    queryFn: () => read<{ lines: Line[] }>(api.GET("/api/v1/incidents/{id}/why", { params: { path: { id } } })),
    enabled: isOpen,
  });
  return (
    <>
      <Button variant="default" size="xs" mt="xs" onClick={drawer.open}>
        {words.incident.why} (w)
      </Button>
      <Drawer
        opened={isOpen}
        onClose={drawer.close}
        position="right"
        title={words.incident.why}
        closeButtonProps={{ "aria-label": words.close }}
      >
        {story.error && <Trouble error={story.error} />}
        {story.isPending && <Loader aria-label={words.incident.why} />}
        <List size="sm" spacing="sm" type="ordered">
          {story.data?.lines.map((line) => (
            <List.Item key={line.seq}>
              {line.sentence}
              {line.actor && `, ${line.actor}`} (<Ago at={line.happened_at} />)
              {line.because.map((why) => (
                <Text size="sm" key={why} pl="sm">
                  {why}
                </Text>
              ))}
            </List.Item>
          ))}
        </List>
      </Drawer>
    </>
  );
}

function Alerts({ alerts }: { alerts: Member[] }) {
  return (
    <Section title={words.incident.alerts}>
      <Stack gap="xs">
        {alerts.map((alert) => (
          <Card withBorder padding="xs" key={alert.rule + JSON.stringify(alert.labels)}>
            <Group gap="xs">
              <State state={alert.standing} />
              <Text size="sm" fw={600}>
                {alert.rule}
              </Text>
              <Text size="sm">
                {words.incident.since} <Ago at={alert.first_seen} />, {alert.count}×
              </Text>
            </Group>
            <Text size="sm" mt={4} style={{ overflowWrap: "anywhere" }}>
              {alert.annotations.description ?? alert.annotations.summary}
            </Text>
            <Code style={{ overflowWrap: "anywhere", whiteSpace: "normal" }}>
              {Object.entries(alert.labels)
                .map(([name, value]) => `${name}="${value}"`)
                .join(" ")}
            </Code>
          </Card>
        ))}
      </Stack>
    </Section>
  );
}
