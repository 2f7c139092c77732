// The types of the API, from the document that the controller serves.
import { readFileSync, writeFileSync } from "node:fs";
import openapiTS, { astToString } from "openapi-typescript";

export async function types() {
  const document = JSON.parse(readFileSync(new URL("../openapi.json", import.meta.url), "utf8"));
  return `// Made by: make console-types\n\n${astToString(await openapiTS(document))}`;
}

if (process.argv.includes("--write")) {
  writeFileSync(new URL("../src/api/schema.d.ts", import.meta.url), await types());
}
