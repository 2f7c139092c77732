// On call, on a phone: a link logs in; an incident comes by itself; what it is, why, and what was tried stands on one page;
// one key takes it. Every page on the way is looked at by axe (WCAG 2.2 AA) and fits 360 px.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

import { inWorld } from "./world.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];

async function isGood(page, name) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate((values) => window.axe.run(document, { runOnly: { type: "tag", values } }), TAGS);
  const told = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(" | ")}`);
  assert.deepEqual(told, [], `${name}: axe`);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert.ok(wide <= 0, `${name} is ${wide} px wider than the window`);
  console.log(`${name}: readable, and within 360 px`);
}

await inWorld({ width: 360, height: 740 }, "light", async ({ page, link, url, send, faults }) => {
  await page.goto(`${url}/incidents/INC-1`);
  await page.getByLabel("Name").waitFor();
  await isGood(page, "log in");
  // That nobody is logged in is what the browser was told by 401, which it logs.
  faults.length = 0;

  await page.goto("about:blank");
  await page.goto(link);
  await page.getByRole("heading", { name: "Open incidents" }).waitFor();
  await page.getByText("Nothing is open").waitFor();
  await isGood(page, "now, quiet");

  const readAt = await page.evaluate(() => performance.timeOrigin);
  send("demonstration");
  const incident = page.getByRole("link", { name: /INC-1 / });
  await incident.waitFor();
  assert.equal(await page.evaluate(() => performance.timeOrigin), readAt, "it came without the page being loaded again");
  await isGood(page, "now");
  await incident.click();

  await page.getByText("Why this priority").waitFor();
  await page.getByText("succeeded", { exact: true }).waitFor();
  await page.getByText(/Linux .*GNU/).first().waitFor();
  await isGood(page, "incident");
  await page.keyboard.press("w");
  await page.getByRole("dialog").getByRole("listitem").first().waitFor();
  await isGood(page, "why");
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await page.keyboard.press("n");
  await page.getByRole("textbox", { name: "Note" }).fill("seen from the phone");
  await page.keyboard.press("Enter");
  await page.getByText(/seen from the phone/).waitFor();

  for (const [path, heading] of [["/runs", "Runs"], ["/cmdb?class=host", "CMDB"], ["/fleet", "Fleet"], ["/rules", "Rules"], ["/ledger", "Ledger"]]) {
    await page.goto(`${url}${path}`);
    await page.getByRole("heading", { name: heading, exact: true }).waitFor();
    await page.getByRole("table").waitFor();
    await isGood(page, path);
  }
  await page.goto(`${url}/silences`);
  await page.getByText("Nothing is silenced").waitFor();
  await isGood(page, "/silences");
  await page.goto(`${url}/cmdb?class=host`);
  await page.getByRole("table").getByRole("link").first().click();
  await page.getByText("Attributes").waitFor();
  await isGood(page, "item");
});
console.log("the story holds");
