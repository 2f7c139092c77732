/**
 * Every page: its address, its name, and the file that shows it. To add a page, write `src/pages/NAME.tsx` with a default
 * export, and a line here. `menu` puts it into the menu and the command palette.
 */
import type { ComponentType } from "react";

import { words } from "../words";

export interface PageEntry {
  path: string;
  title: string;
  load: () => Promise<{ default: ComponentType }>;
  menu?: true;
}

export const pages: PageEntry[] = [
  { path: "/", title: words.pages.now, load: () => import("../pages/now"), menu: true },
  { path: "/incidents/$id", title: words.pages.incident, load: () => import("../pages/incident") },
  { path: "/problems/$id", title: words.pages.problem, load: () => import("../pages/problem") },
  { path: "/runs", title: words.pages.runs, load: () => import("../pages/runs"), menu: true },
  { path: "/cmdb", title: words.pages.cmdb, load: () => import("../pages/cmdb"), menu: true },
  { path: "/cmdb/$id", title: words.pages.ci, load: () => import("../pages/ci") },
  { path: "/fleet", title: words.pages.fleet, load: () => import("../pages/fleet"), menu: true },
  { path: "/rules", title: words.pages.rules, load: () => import("../pages/rules"), menu: true },
  { path: "/silences", title: words.pages.silences, load: () => import("../pages/silences"), menu: true },
  { path: "/ledger", title: words.pages.ledger, load: () => import("../pages/ledger"), menu: true },
];

/** The address of a record by its number: INC-7, PRB-2. */
export function addressOf(number: string): string | undefined {
  const [kind, digits] = number.trim().toUpperCase().split("-");
  if (digits === undefined || !/^\d+$/.test(digits)) return undefined;
  const folder = { INC: "incidents", PRB: "problems" }[kind ?? ""];
  return folder && `/${folder}/${kind}-${digits}`;
}
