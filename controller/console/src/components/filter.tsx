/** Filters and pages of a list, which stand in the address: a link shows what its sender saw. */
import { Button, Group, TextInput } from "@mantine/core";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useState } from "react";

import { words } from "../words";

export type Filter = Record<string, string>;

/** The filter of this address, and what sets some of it; any change goes back to the first page. */
export function useFilter(): [Filter, (change: Filter) => void] {
  const search = useSearch({ strict: false }) as Filter;
  const navigate = useNavigate();
  const set = (change: Filter) => {
    const next = { ...search, cursor: "", ...change };
    const kept = Object.fromEntries(Object.entries(next).filter(([, value]) => value !== ""));
    void navigate({ to: ".", search: kept, replace: true });
  };
  return [search, set];
}

/** A word of the filter, taken over on Enter or on leaving. */
export function FilterInput({ name, label }: { name: string; label: string }) {
  const [filter, set] = useFilter();
  const [typed, setTyped] = useState(filter[name] ?? "");
  const take = () => typed !== (filter[name] ?? "") && set({ [name]: typed });
  return (
    <TextInput
      label={label}
      size="sm"
      value={typed}
      onChange={(event) => setTyped(event.currentTarget.value)}
      onBlur={take}
      onKeyDown={(event) => event.key === "Enter" && take()}
    />
  );
}

export function Pager({ next }: { next: string | null | undefined }) {
  const [filter, set] = useFilter();
  if (!next && !filter.cursor) return null;
  return (
    <Group mt="sm">
      {filter.cursor && (
        <Button variant="default" size="xs" onClick={() => set({})}>
          {words.list.first}
        </Button>
      )}
      {next && (
        <Button variant="default" size="xs" onClick={() => set({ cursor: next })}>
          {words.list.more}
        </Button>
      )}
    </Group>
  );
}
