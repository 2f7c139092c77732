import { expect, test } from "vitest";

import { addressOf } from "./pages";
import { Reader, touched } from "./stream";
import type { IncidentRow, Problem } from "../api/records";
import { actsIn } from "../pages/acts";
import { groups } from "../pages/grouped";
import { listed } from "../pages/rules";
import { told } from "../pages/silences";
import { age } from "../words";

test("an age is told in its largest whole unit, and never negative", () => {
  expect([-5, 59_400, 60_000, 3_599_000, 3_600_000, 172_800_000].map(age)).toEqual([
    "0 s",
    "59 s",
    "1 min",
    "59 min",
    "1 h",
    "2 d",
  ]);
});

test("a record's number is its address, and nothing else is", () => {
  expect(addressOf("inc-7")).toBe("/incidents/INC-7");
  expect(addressOf(" PRB-12 ")).toBe("/problems/PRB-12");
  for (const other of ["", "INC-", "INC-x", "web-3", "INC-7/../x"]) expect(addressOf(other)).toBeUndefined();
});

test("events come whole however the text is cut", () => {
  const text = ": alive\n\nid: desk:7\nevent: incident.opened\ndata: {}\n\nid: desk:8\nevent: run.finished\ndata: {}\n\n";
  const whole = [
    { id: "desk:7", event: "incident.opened" },
    { id: "desk:8", event: "run.finished" },
  ];
  for (let cut = 0; cut <= text.length; cut++) {
    const reader = new Reader();
    expect([...reader.take(text.slice(0, cut)), ...reader.take(text.slice(cut))]).toEqual(whole);
  }
});

test("a fact has the lists read again that it may have changed", () => {
  expect(touched("run.finished")).toEqual(["runs", "incidents", "facts"]);
  expect(touched("note.erased")).toEqual(["status", "facts"]);
});

test("the worst incident leads, with the others of its problem under it", () => {
  const incident = (id: string, priority: number, opened_at: number) => ({ id, opened_at, priority }) as IncidentRow;
  const all = [incident("INC-1", 3, 1), incident("INC-2", 2, 5), incident("INC-3", 4, 0)];
  const found = groups([...all, incident("INC-4", 2, 9)], [
    { id: "PRB-1", incidents: ["INC-2", "INC-3", "INC-9"] } as Problem,
  ]);
  expect(found.map(({ problem, members }) => [problem?.id, members.map(({ id }) => id)])).toEqual([
    ["PRB-1", ["INC-2", "INC-3"]],
    [undefined, ["INC-4"]],
    [undefined, ["INC-1"]],
  ]);
});

test("what is over takes a note and nothing else", () => {
  for (const state of ["resolved", "closed", "cancelled"]) expect(actsIn(state)).toEqual(["note"]);
  expect(actsIn("new")).toContain("acknowledge");
  expect(actsIn("in_progress")).not.toContain("progress");
});

test("rules that need a look stand first, and a filter is of name, expression and state", () => {
  const rule = (name: string, more: object) => ({ type: "alerting" as const, name, query: `${name} > 0`, health: "ok", ...more });
  const rules = [
    rule("quiet", { state: "inactive" }),
    { type: "recording" as const, name: "job:up", query: "sum(up)", health: "ok" },
    rule("waits", { state: "pending" }),
    rule("fires", { state: "firing" }),
    rule("broken", { state: "inactive", lastError: "many-to-many" }),
  ];
  const groups = [{ name: "host", file: "host.yaml", rules }];
  expect(listed(groups, "", "").map(({ name }) => name)).toEqual(["broken", "fires", "waits", "quiet", "job:up"]);
  expect(listed(groups, "SUM(", "").map(({ name }) => name)).toEqual(["job:up"]);
  expect(listed(groups, "", "pend").map(({ name, group }) => [name, group])).toEqual([["waits", "host"]]);
});

test("a silence is told as it is written on the command line", () => {
  const matchers = [
    { name: "instance", value: "web-.*", isRegex: true, isEqual: true },
    { name: "unit", value: 'a"b', isRegex: false },
    { name: "severity", value: "info", isRegex: false, isEqual: false },
  ];
  const silence = { id: "1", status: { state: "active" as const }, matchers, startsAt: "", endsAt: "", createdBy: "", comment: "" };
  expect(told(silence)).toBe('{instance=~"web-.*", unit="a\\"b", severity!="info"}');
});
