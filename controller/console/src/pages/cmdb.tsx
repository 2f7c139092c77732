/** What there is: configuration items by name, class and selector. */
import { useQuery } from "@tanstack/react-query";

import { api, read } from "../api/client";
import type { Ci, Page } from "../api/records";
import { FilterInput, useFilter } from "../components/filter";
import { Go } from "../components/go";
import { Listing } from "../components/listing";
import { plain, words } from "../words";

export default function Cmdb() {
  const [{ search, selector, cursor, class: kind }] = useFilter();
  const query = useQuery({
    queryKey: ["cis", { search, selector, kind, cursor }],
    queryFn: () =>
      read<Page<Ci>>(api.GET("/api/v1/cis", { params: { query: { search, selector, class: kind, cursor } } })),
  });
  return (
    <Listing
      title={words.pages.cmdb}
      filters={
        <>
          <FilterInput name="search" label={words.cmdb.search} />
          <FilterInput name="class" label={words.cmdb.class} />
          <FilterInput name="selector" label={words.cmdb.selector} />
        </>
      }
      query={query}
      keyOf={(ci) => ci.id}
      empty={words.cmdb.empty}
      columns={[
        { title: words.columns.name, cell: (ci) => <Go to={`/cmdb/${ci.id}`}>{ci.name}</Go> },
        { title: words.cmdb.class, cell: (ci) => plain(ci.class) },
        { title: words.columns.host, cell: (ci) => ci.agent ?? "", wide: true },
        { title: words.columns.state, cell: (ci) => plain(ci.lifecycle), wide: true },
      ]}
    />
  );
}
