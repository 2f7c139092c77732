/** What is loaded: each rule over samples, its state and what is wrong with it; what fires stands first. */
import { Code } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";

import { api, read } from "../api/client";
import type { Page, Rule, RuleGroup } from "../api/records";
import { FilterInput, useFilter } from "../components/filter";
import { Listing } from "../components/listing";
import { State } from "../components/marks";
import { words } from "../words";

export interface Listed extends Rule {
  group: string;
}

const ORDER = ["firing", "pending", "inactive"];
const stateOf = (rule: Rule) => rule.state ?? words.rules.recording;

/** All rules of all groups that match, what needs a look first, else as the files have them. */
export function listed(groups: RuleGroup[], name: string, state: string): Listed[] {
  const all = groups.flatMap((group) => group.rules.map((rule) => ({ ...rule, group: group.name })));
  const wanted = name.toLowerCase();
  const place = (rule: Rule) => (rule.lastError ? -1 : (ORDER.indexOf(rule.state ?? "") + ORDER.length + 1) % (ORDER.length + 1));
  return all
    .filter((rule) => `${rule.name} ${rule.query}`.toLowerCase().includes(wanted) && stateOf(rule).startsWith(state))
    .sort((one, other) => place(one) - place(other));
}

export default function Rules() {
  const [{ name = "", state = "" }] = useFilter();
  const query = useQuery({
    queryKey: ["rules", { name, state }],
    queryFn: async (): Promise<Page<Listed>> => {
      const { data } = await read<{ data: { groups: RuleGroup[] } }>(api.GET("/prometheus/api/v1/rules", { params: { query: {} } }));
      return { items: listed(data.groups, name, state), next: null };
    },
  });
  return (
    <Listing
      title={words.pages.rules}
      filters={
        <>
          <FilterInput name="name" label={words.rules.name} />
          <FilterInput name="state" label={words.rules.state} />
        </>
      }
      query={query}
      keyOf={(rule) => `${rule.group}/${rule.name}/${rule.query}`}
      empty={words.rules.empty}
      columns={[
        { title: words.columns.name, cell: (rule) => rule.name },
        { title: words.columns.state, cell: (rule) => <State state={words.rules.standing(stateOf(rule), rule.alerts?.length ?? 0)} /> },
        { title: words.rules.health, cell: (rule) => rule.lastError ?? rule.health, wide: true },
        { title: words.rules.expression, cell: (rule) => <Code>{rule.query}</Code>, wide: true },
        { title: words.rules.group, cell: (rule) => rule.group, wide: true },
      ]}
    />
  );
}
