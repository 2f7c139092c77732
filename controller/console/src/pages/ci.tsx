/** One item: its attributes and what it stands on. */
import { Loader, Stack, Table, Text, Title } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useParams } from "@tanstack/react-router";
import { Suspense, lazy } from "react";

import { api, read } from "../api/client";
import type { Ci } from "../api/records";
import { Section } from "../components/section";
import { Trouble } from "../components/trouble";
import { plain, words } from "../words";

const Graph = lazy(() => import("../components/graph"));

/** An attribute's value, whether it stands alone or with its source. */
function value(attribute: unknown): string {
  const bare = typeof attribute === "object" && attribute !== null && "value" in attribute ? attribute.value : attribute;
  return typeof bare === "string" ? bare : JSON.stringify(bare);
}

export default function CiPage() {
  const { id = "" } = useParams({ strict: false }) as { id?: string };
  const { data, error, refetch } = useQuery({
    queryKey: ["cis", id],
    queryFn: () => read<Ci>(api.GET("/api/v1/cis/{id}", { params: { path: { id } } })),
  });
  if (error) return <Trouble error={error} again={() => void refetch()} />;
  if (!data) return <Loader aria-label={words.pages.ci} />;
  return (
    <Stack maw={1100}>
      <div>
        <Title order={1} size="h3" style={{ overflowWrap: "anywhere" }}>
          {data.name}
        </Title>
        <Text size="sm">
          {plain(data.class)}, {plain(data.lifecycle)}
          {data.agent && `, ${words.incident.by} ${data.agent}`}
        </Text>
      </div>
      <Section title={words.cmdb.attributes}>
        <Table verticalSpacing={4}>
          <Table.Tbody>
            {Object.entries(data.attributes).map(([name, attribute]) => (
              <Table.Tr key={name}>
                <Table.Th scope="row">{name}</Table.Th>
                <Table.Td style={{ overflowWrap: "anywhere" }}>{value(attribute)}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      </Section>
      <Suspense fallback={<Loader size="sm" />}>
        <Graph ci={data.id} />
      </Suspense>
    </Stack>
  );
}
