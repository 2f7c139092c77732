/** The agents: who is there, who is away and since when. */
import { useQuery } from "@tanstack/react-query";

import { api, read } from "../api/client";
import type { Agent, Page } from "../api/records";
import { Ago } from "../components/ago";
import { FilterInput, useFilter } from "../components/filter";
import { Go } from "../components/go";
import { Listing } from "../components/listing";
import { State } from "../components/marks";
import { plain, words } from "../words";

export default function Fleet() {
  const [{ search, standing, cursor }] = useFilter();
  const query = useQuery({
    queryKey: ["agents", { search, standing, cursor }],
    queryFn: () => read<Page<Agent>>(api.GET("/api/v1/agents", { params: { query: { search, standing, cursor } } })),
  });
  return (
    <Listing
      title={words.pages.fleet}
      filters={
        <>
          <FilterInput name="search" label={words.fleet.search} />
          <FilterInput name="standing" label={words.fleet.standing} />
        </>
      }
      query={query}
      keyOf={(agent) => agent.name}
      empty={words.fleet.empty}
      columns={[
        { title: words.columns.name, cell: (agent) => (agent.ci ? <Go to={`/cmdb/${agent.ci}`}>{agent.name}</Go> : agent.name) },
        { title: words.fleet.standing, cell: (agent) => <State state={agent.standing} /> },
        { title: words.columns.since, cell: (agent) => agent.since && <Ago at={agent.since} /> },
        { title: words.columns.away, cell: (agent) => plain(agent.lost ?? ""), wide: true },
        { title: words.columns.version, cell: (agent) => agent.version ?? "", wide: true },
      ]}
    />
  );
}
