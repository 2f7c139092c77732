/** What an item stands on and what stands on it, one step away. A list beside it says the same to a screen reader. */
import { List, Text, VisuallyHidden, useComputedColorScheme } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { type Edge, type Node, Position, ReactFlow } from "@xyflow/react";
import "@xyflow/react/dist/style.css";

import { api, read } from "../api/client";
import type { Page, Relation } from "../api/records";
import { plain, words } from "../words";
import { Section } from "./section";
import { Trouble } from "./trouble";

/** More than this is no picture any more; the item's page lists all. */
const SHOWN = 12;
const COLUMN = 260;
const ROW = 64;

interface Answer extends Page<Relation> {
  ci: { id: string; class: string; name: string };
}

/** The item in the middle, what relates to it on the left, what it relates to on the right. */
export function layout(answer: Answer): { nodes: Node[]; edges: Edge[] } {
  const shown = answer.items.slice(0, SHOWN);
  const rows = { left: 0, right: 0 };
  const place = (isLeft: boolean) => ({ x: isLeft ? -COLUMN : COLUMN, y: (isLeft ? rows.left++ : rows.right++) * ROW });
  const node = (id: string, label: string, position: { x: number; y: number }): Node => ({
    id,
    data: { label },
    position,
    sourcePosition: Position.Right,
    targetPosition: Position.Left,
  });
  const others = new Map<string, Node>();
  for (const { to, other } of shown) {
    const isLeft = to === answer.ci.id;
    if (!others.has(other.id)) others.set(other.id, node(other.id, `${plain(other.class)} ${other.name}`, place(isLeft)));
  }
  const middle = ((Math.max(rows.left, rows.right, 1) - 1) * ROW) / 2;
  const nodes = [node(answer.ci.id, `${plain(answer.ci.class)} ${answer.ci.name}`, { x: 0, y: middle }), ...others.values()];
  const edges = shown.map(({ from, to, kind }) => ({ id: `${from} ${kind} ${to}`, source: from, target: to, label: plain(kind) }));
  return { nodes, edges };
}

export default function Graph({ ci }: { ci: string }) {
  const navigate = useNavigate();
  const scheme = useComputedColorScheme("light");
  const { data, error } = useQuery({
    queryKey: ["cis", ci, "relations"],
    queryFn: () => read<Answer>(api.GET("/api/v1/cis/{id}/relations", { params: { path: { id: ci }, query: { limit: 100 } } })),
  });
  if (error) return <Trouble error={error} />;
  if (!data || data.items.length === 0) return null;
  const { nodes, edges } = layout(data);
  return (
    <Section title={words.incident.around}>
      <div style={{ height: 300 }} role="group" aria-label={words.incident.around}>
        <ReactFlow
          nodes={nodes}
          edges={edges}
          colorMode={scheme}
          fitView
          proOptions={{ hideAttribution: true }}
          nodesDraggable={false}
          nodesConnectable={false}
          nodesFocusable={false}
          edgesFocusable={false}
          preventScrolling={false}
          onNodeClick={(_, node) => void navigate({ to: `/cmdb/${node.id}` })}
        />
      </div>
      <VisuallyHidden>
        <List>
          {data.items.map(({ from, kind, other }) => (
            <List.Item key={from + kind + other.id}>
              {from === ci ? `${plain(kind)} ${other.name}` : `${other.name} ${plain(kind)}`}
            </List.Item>
          ))}
        </List>
      </VisuallyHidden>
      {data.items.length > SHOWN && (
        <Text size="sm">{words.cmdb.more(data.items.length - SHOWN, data.next !== null)}</Text>
      )}
    </Section>
  );
}
