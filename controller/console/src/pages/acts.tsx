/** What a person does to an incident, each a key away, and each says first what it will mean. */
import { Button, Group, Modal, Stack, Text, TextInput } from "@mantine/core";
import { useHotkeys } from "@mantine/hooks";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { api, read } from "../api/client";
import type { Incident } from "../api/records";
import { useMay } from "../app/session";
import { Trouble } from "../components/trouble";
import { words } from "../words";

export type Act = keyof typeof words.incident.act;
const KEYS: [Act, string][] = [
  ["acknowledge", "a"],
  ["progress", "t"],
  ["note", "n"],
  ["resolve", "r"],
];

/** Which acts a state takes. The API's table decides; this leaves out what it would refuse. */
export function actsIn(state: string): Act[] {
  if (["resolved", "closed", "cancelled"].includes(state)) return ["note"];
  if (state === "new") return ["acknowledge", "progress", "note", "resolve"];
  return state === "in_progress" ? ["note", "resolve"] : ["progress", "note", "resolve"];
}

function send(id: string, act: Act, note: string) {
  const params = { path: { id } };
  switch (act) {
    case "acknowledge":
      return read(api.POST("/api/v1/incidents/{id}/acknowledge", { params, body: { note } }));
    case "progress":
      return read(api.POST("/api/v1/incidents/{id}/progress", { params, body: { note } }));
    case "note":
      return read(api.POST("/api/v1/incidents/{id}/note", { params, body: { note } }));
    case "resolve":
      return read(api.POST("/api/v1/incidents/{id}/resolve", { params, body: { code: "fixed_by_person", note } }));
  }
}

export function Acts({ incident }: { incident: Incident }) {
  const may = useMay("responder");
  const queries = useQueryClient();
  const [asked, setAsked] = useState<Act>();
  const [note, setNote] = useState("");
  const act = useMutation({
    mutationFn: (which: Act) => send(incident.id, which, note),
    onSuccess: async () => {
      setAsked(undefined);
      setNote("");
      await queries.invalidateQueries({ queryKey: ["incidents"] });
    },
  });
  const taken = may ? actsIn(incident.state) : [];
  const keys = KEYS.filter(([act]) => taken.includes(act));
  useHotkeys(keys.map(([act, key]) => [key, () => setAsked(act)]));
  return (
    <>
      <Group gap="xs">
        {keys.map(([act, key]) => (
          <Button key={act} variant={act === "resolve" ? "filled" : "default"} size="sm" onClick={() => setAsked(act)}>
            {words.incident.act[act]} ({key})
          </Button>
        ))}
      </Group>
      <Modal
        opened={asked !== undefined}
        onClose={() => setAsked(undefined)}
        title={asked && `${words.incident.act[asked]}: ${incident.id}`}
        closeButtonProps={{ "aria-label": words.close }}
      >
        {asked && (
          <form
            onSubmit={(event) => {
              event.preventDefault();
              act.mutate(asked);
            }}
          >
            <Stack>
              <Text size="sm">{words.incident.actAsk[asked]}</Text>
              <TextInput
                label={words.incident.noteLabel}
                value={note}
                onChange={(event) => setNote(event.currentTarget.value)}
                required={asked === "note" || asked === "resolve"}
                data-autofocus
              />
              {act.error && <Trouble error={act.error} />}
              <Button type="submit" loading={act.isPending}>
                {words.incident.act[asked]}
              </Button>
            </Stack>
          </form>
        )}
      </Modal>
    </>
  );
}
