/** The ledger, browsed: each fact with what it is about and who did it. */
import { Code } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";

import { api, read } from "../api/client";
import type { Fact, Page } from "../api/records";
import { Ago } from "../components/ago";
import { FilterInput, useFilter } from "../components/filter";
import { Listing } from "../components/listing";
import { words } from "../words";

export default function Ledger() {
  const [{ kind, subject, cursor }] = useFilter();
  const query = useQuery({
    queryKey: ["facts", { kind, subject, cursor }],
    queryFn: () => read<Page<Fact>>(api.GET("/api/v1/facts", { params: { query: { kind, subject, cursor } } })),
  });
  return (
    <Listing
      title={words.pages.ledger}
      filters={
        <>
          <FilterInput name="kind" label={words.ledger.kind} />
          <FilterInput name="subject" label={words.ledger.subject} />
        </>
      }
      query={query}
      keyOf={(fact) => fact.cursor}
      empty={words.ledger.empty}
      columns={[
        { title: words.columns.when, cell: (fact) => <Ago at={fact.happened_at} /> },
        { title: words.columns.what, cell: (fact) => fact.kind.replace(".", " ").replaceAll("_", " ") },
        { title: words.columns.about, cell: (fact) => <Code>{`${fact.subject.kind}:${fact.subject.id}`}</Code> },
        { title: words.columns.who, cell: (fact) => fact.actor, wide: true },
      ]}
    />
  );
}
