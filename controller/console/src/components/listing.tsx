import { Group, Loader, Table, Text, Title } from "@mantine/core";
import type { UseQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";

import type { Page } from "../api/records";
import { Pager } from "./filter";
import { Trouble } from "./trouble";

export interface Column<T> {
  title: string;
  cell: (item: T) => ReactNode;
  /** Left out where the window is narrow. */
  wide?: true;
}

/** A page that is a list: its filters, a table, and what it teaches where it is empty. */
export function Listing<T>(props: {
  title: string;
  filters?: ReactNode;
  query: UseQueryResult<Page<T>>;
  columns: Column<T>[];
  keyOf: (item: T) => string;
  empty: string;
}) {
  const { data, error, refetch } = props.query;
  return (
    <>
      <Title order={1} size="h3" mb="sm">
        {props.title}
      </Title>
      <Group align="end" mb="sm">
        {props.filters}
      </Group>
      {error && <Trouble error={error} again={() => void refetch()} />}
      {!data && !error && <Loader aria-label={props.title} />}
      {data?.items.length === 0 && <Text>{props.empty}</Text>}
      {data && data.items.length > 0 && (
        <Table striped highlightOnHover verticalSpacing="xs">
          <Table.Thead>
            <Table.Tr>
              {props.columns.map((column) => (
                <Table.Th key={column.title} visibleFrom={column.wide && "sm"}>
                  {column.title}
                </Table.Th>
              ))}
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {data.items.map((item) => (
              <Table.Tr key={props.keyOf(item)}>
                {props.columns.map((column) => (
                  <Table.Td key={column.title} visibleFrom={column.wide && "sm"} style={{ overflowWrap: "anywhere" }}>
                    {column.cell(item)}
                  </Table.Td>
                ))}
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      )}
      <Pager next={data?.next} />
    </>
  );
}
