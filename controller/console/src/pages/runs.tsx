/** Runs of runbooks, the newest first. */
import { useQuery } from "@tanstack/react-query";

import { api, read } from "../api/client";
import type { Page, RunRow } from "../api/records";
import { Ago } from "../components/ago";
import { FilterInput, useFilter } from "../components/filter";
import { Go } from "../components/go";
import { Listing } from "../components/listing";
import { State } from "../components/marks";
import { words } from "../words";

export default function Runs() {
  const [{ runbook, agent, cursor }] = useFilter();
  const query = useQuery({
    queryKey: ["runs", { runbook, agent, cursor }],
    queryFn: () => read<Page<RunRow>>(api.GET("/api/v1/runs", { params: { query: { runbook, agent, cursor } } })),
  });
  return (
    <Listing
      title={words.pages.runs}
      filters={
        <>
          <FilterInput name="runbook" label={words.columns.runbook} />
          <FilterInput name="agent" label={words.columns.agent} />
        </>
      }
      query={query}
      keyOf={(run) => run.id}
      empty={words.runs.empty}
      columns={[
        { title: words.columns.run, cell: (run) => (run.incident ? <Go to={`/incidents/${run.incident}`}>{run.id}</Go> : run.id) },
        { title: words.columns.state, cell: (run) => <State state={run.state} /> },
        { title: words.columns.runbook, cell: (run) => run.runbook },
        { title: words.columns.agent, cell: (run) => run.agent ?? "", wide: true },
        { title: words.columns.opened, cell: (run) => <Ago at={run.opened_at} />, wide: true },
      ]}
    />
  );
}
