import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

import { types } from "./types.mjs";

test("the types are made from today's document; make console-types writes them anew", async () => {
  const kept = readFileSync(new URL("../src/api/schema.d.ts", import.meta.url), "utf8");
  expect(kept).toBe(await types());
});
