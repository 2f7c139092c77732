// The types of the API, from the document that the controller serves. Its handlers share names (each list is `list`), by
// which the generator would take one operation for another: the names are left out, paths tell operations apart.
import { readFileSync, writeFileSync } from "node:fs";
import openapiTS, { astToString } from "openapi-typescript";

export async function types() {
  const document = JSON.parse(readFileSync(new URL("../openapi.json", import.meta.url), "utf8"));
  for (const item of Object.values(document.paths)) {
    for (const operation of Object.values(item)) delete operation.operationId;
  }
  return `// Made by: make console-types\n\n${astToString(await openapiTS(document))}`;
}

if (process.argv.includes("--write")) {
  writeFileSync(new URL("../src/api/schema.d.ts", import.meta.url), await types());
}
