/** What is held back, until when and why; a silence is expired here, and what that means is said first. */
import { Button, Group, Modal, Stack, Text } from "@mantine/core";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { api, read } from "../api/client";
import type { Page, Silence } from "../api/records";
import { useMay } from "../app/session";
import { Ago } from "../components/ago";
import { Listing } from "../components/listing";
import { State } from "../components/marks";
import { Trouble } from "../components/trouble";
import { words } from "../words";

const ORDER = ["active", "pending", "expired"];

/** `{unit="nginx.service", instance=~"web-.*"}`: as it is written on the command line. */
export function told(silence: Silence): string {
  const sign = ({ isRegex, isEqual = true }: Silence["matchers"][number]) => (isEqual ? (isRegex ? "=~" : "=") : isRegex ? "!~" : "!=");
  const matchers = silence.matchers.map((matcher) => `${matcher.name}${sign(matcher)}${JSON.stringify(matcher.value)}`);
  return `{${matchers.join(", ")}}`;
}

export default function Silences() {
  const may = useMay("responder");
  const queries = useQueryClient();
  const [asked, setAsked] = useState<Silence>();
  const query = useQuery({
    queryKey: ["silences"],
    queryFn: async (): Promise<Page<Silence>> => {
      const items = await read<Silence[]>(api.GET("/alertmanager/api/v2/silences"));
      const place = (silence: Silence) => ORDER.indexOf(silence.status.state);
      return { items: items.toSorted((one, other) => place(one) - place(other)), next: null };
    },
  });
  const expire = useMutation({
    mutationFn: (id: string) => read(api.DELETE("/alertmanager/api/v2/silence/{id}", { params: { path: { id } } })),
    onSuccess: async () => {
      setAsked(undefined);
      await queries.invalidateQueries({ queryKey: ["silences"] });
    },
  });
  const act = (silence: Silence) =>
    may && silence.status.state !== "expired" ? (
      <Button size="xs" variant="default" onClick={() => setAsked(silence)}>
        {words.silences.expire}
      </Button>
    ) : null;
  return (
    <>
      <Listing
        title={words.pages.silences}
        query={query}
        keyOf={(silence) => silence.id}
        empty={words.silences.empty}
        columns={[
          { title: words.silences.what, cell: told },
          { title: words.columns.state, cell: (silence) => <State state={silence.status.state} /> },
          { title: words.silences.ends, cell: (silence) => <Ago at={Date.parse(silence.endsAt)} />, wide: true },
          { title: words.silences.why, cell: (silence) => silence.comment, wide: true },
          { title: words.columns.who, cell: (silence) => silence.createdBy, wide: true },
          { title: words.silences.expire, cell: act },
        ]}
      />
      <Modal
        opened={asked !== undefined}
        onClose={() => setAsked(undefined)}
        title={words.silences.expire}
        closeButtonProps={{ "aria-label": words.close }}
      >
        {asked && (
          <Stack>
            <Text>{words.silences.expireAsk(told(asked))}</Text>
            {expire.error && <Trouble error={expire.error} />}
            <Group>
              <Button loading={expire.isPending} onClick={() => expire.mutate(asked.id)}>
                {words.yes}
              </Button>
              <Button variant="default" onClick={() => setAsked(undefined)}>
                {words.close}
              </Button>
            </Group>
          </Stack>
        )}
      </Modal>
    </>
  );
}
