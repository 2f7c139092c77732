/** A run: what it will do where, what it waits for, what came of each step; and the approval of exactly that plan. */
import { Button, Card, Code, Group, List, Modal, Stack, Text } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useMutation, useQueryClient } from "@tanstack/react-query";

import { api, read } from "../api/client";
import type { PlannedAction, Run } from "../api/records";
import { useMay } from "../app/session";
import { Ago } from "../components/ago";
import { State } from "../components/marks";
import { Trouble } from "../components/trouble";
import { plain, words } from "../words";

/** Whether a run in this state still does something, or waits. */
export const isOpen = (state: string) => OPEN.includes(state);
const OPEN = ["planned", "awaiting_approval", "waiting", "running", "verifying", "rolling_back", "unknown"];

/** A step as it would be typed. */
export function told(action: PlannedAction): string {
  switch (action.action) {
    case "run":
      return action.argv.join(" ");
    case "script":
      return `${action.interpreter.join(" ")} ${words.incident.script(action.content.trimEnd().split("\n").length)} ${action.args.join(" ")}`;
    case "package":
      return `${action.names.join(" ")}: ${action.state}`;
    case "file":
      return `${action.path}: ${action.state}`;
    case "service":
      return `${action.name}: ${action.state}`;
    case "wait_for":
      return action.text;
  }
}

function Plan({ run }: { run: Run }) {
  return (
    <List size="sm" type="ordered" spacing={4}>
      {run.plan.steps.map((step, index) => {
        const done = run.journal[index];
        const output = [done?.stdout, done?.stderr].filter(Boolean).join("\n");
        return (
          <List.Item key={`${index} ${step.name}`}>
            {step.name}: <Code style={{ overflowWrap: "anywhere", whiteSpace: "normal" }}>{told(step.action)}</Code>
            {done && done.state !== "pending" && ` ${plain(done.state)}`}
            {done && done.exit !== null && `, exit ${done.exit}`}
            {done?.reason && <Text size="sm">{done.reason}</Text>}
            {output && (
              <Code block mt={4} tabIndex={0} role="group" aria-label={words.incident.output} style={{ whiteSpace: "pre-wrap" }}>
                {output}
              </Code>
            )}
          </List.Item>
        );
      })}
    </List>
  );
}

export function RunCard({ run }: { run: Run }) {
  return (
    <Card withBorder padding="sm" mb="xs">
      <Group gap="xs" mb={4}>
        <State state={run.state} />
        <Text fw={600} size="sm">
          {run.id} {run.title}
        </Text>
        <Text size="sm">
          {run.agent}, <Ago at={run.opened_at} />
        </Text>
      </Group>
      {run.waiting && <Text size="sm">{run.waiting.reason.sentence}</Text>}
      {run.outcome && <Text size="sm">{run.outcome.sentence}</Text>}
      <Plan run={run} />
      {run.state === "awaiting_approval" && <Approval run={run} />}
    </Card>
  );
}

function Approval({ run }: { run: Run }) {
  const may = useMay("responder");
  const queries = useQueryClient();
  const [isAsked, asked] = useDisclosure();
  const params = { path: { id: run.id } };
  const again = () => queries.invalidateQueries({ queryKey: ["runs"] });
  const approve = useMutation({
    mutationFn: () => read(api.POST("/api/v1/runs/{id}/approve", { params, body: { plan_hash: run.plan_hash } })),
    onSuccess: async () => {
      asked.close();
      await again();
    },
  });
  const reject = useMutation({
    mutationFn: () => read(api.POST("/api/v1/runs/{id}/reject", { params, body: { note: words.incident.rejected } })),
    onSuccess: again,
  });
  if (!may) return null;
  return (
    <>
      <Group gap="xs" mt="sm">
        <Button onClick={asked.open}>{words.incident.approve}</Button>
        <Button variant="default" onClick={() => reject.mutate()} loading={reject.isPending}>
          {words.incident.reject}
        </Button>
      </Group>
      {reject.error && <Trouble error={reject.error} />}
      <Modal
        opened={isAsked}
        onClose={asked.close}
        title={`${words.incident.approve}: ${run.title}`}
        closeButtonProps={{ "aria-label": words.close }}
      >
        <Stack>
          <Text size="sm">{words.incident.approveAsk(run.id, run.agent, run.plan.steps.length)}</Text>
          <Plan run={run} />
          {approve.error && <Trouble error={approve.error} />}
          <Button onClick={() => approve.mutate()} loading={approve.isPending} data-autofocus>
            {words.yes}
          </Button>
        </Stack>
      </Modal>
    </>
  );
}
