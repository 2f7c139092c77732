// Packs each file of the build beside it, as the controller sends them, and holds the first load to its bound.
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const FIRST_LOAD_BYTES = 300_000;
const dist = new URL("../dist/", import.meta.url).pathname;

for (const entry of readdirSync(dist, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || entry.name === "index.html" || !/\.(js|css|svg|json|txt)$/.test(entry.name)) continue;
  const path = join(entry.parentPath, entry.name);
  const text = readFileSync(path);
  writeFileSync(`${path}.br`, brotliCompressSync(text, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }));
  writeFileSync(`${path}.gz`, gzipSync(text, { level: 9 }));
}

// What the page names is what a browser loads before it shows anything.
const page = readFileSync(join(dist, "index.html"), "utf8");
const named = [...page.matchAll(/(?:src|href)="\/(assets\/[^"]+)"/g)].map((found) => found[1]);
const sizes = named.map((name) => readFileSync(join(dist, `${name}.gz`)).length);
const total = sizes.reduce((sum, size) => sum + size, 0);
console.log(`first load: ${total} bytes with gzip, of ${FIRST_LOAD_BYTES}, in ${named.length} files`);
if (named.length === 0 || total > FIRST_LOAD_BYTES) {
  console.error(`the first load is ${total} bytes; load what is not needed at once lazily (pages do, see src/app/pages.ts)`);
  process.exit(1);
}
