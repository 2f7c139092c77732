/** What lies behind incidents: its members, the worst first. */
import { Group, Loader, Stack, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";

import { api, read } from "../api/client";
import type { Line, Problem } from "../api/records";
import { Ago } from "../components/ago";
import { Go } from "../components/go";
import { State } from "../components/marks";
import { Section } from "../components/section";
import { Trouble } from "../components/trouble";
import { words } from "../words";

export default function ProblemPage() {
  const { id = "" } = useParams({ strict: false }) as { id?: string };
  const params = { path: { id } };
  const problem = useQuery({
    queryKey: ["problems", id],
    queryFn: () => read<Problem>(api.GET("/api/v1/problems/{id}", { params })),
  });
  const story = useQuery({
    queryKey: ["problems", id, "why"],
    queryFn: () => read<{ lines: Line[] }>(api.GET("/api/v1/problems/{id}/why", { params })),
  });
  if (problem.error) return <Trouble error={problem.error} again={() => void problem.refetch()} />;
  if (!problem.data) return <Loader aria-label={words.pages.problem} />;
  return (
    <Stack maw={1100}>
      <div>
        <Group gap="xs">
          <State state={problem.data.state} />
          <Text size="sm">
            {problem.data.id}, <Ago at={problem.data.opened_at} />
          </Text>
        </Group>
        <Title order={1} size="h3">
          {problem.data.title}
        </Title>
      </div>
      <Section title={words.now.incidents}>
        <Group>
          {problem.data.incidents.map((incident) => (
            <Go key={incident} to={`/incidents/${incident}`}>
              {incident}
            </Go>
          ))}
        </Group>
      </Section>
      <Section title={words.incident.timeline}>
        {story.error && <Trouble error={story.error} />}
        {story.data?.lines.map((line) => (
          <Text size="sm" key={line.seq} mb={6} style={{ overflowWrap: "anywhere" }}>
            <Ago at={line.happened_at} /> {line.sentence} {line.because.join("; ")}
          </Text>
        ))}
      </Section>
    </Stack>
  );
}
