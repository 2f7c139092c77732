// Each page, light and dark, desktop and phone, into screenshots/.
import { mkdirSync } from "node:fs";

import { inWorld } from "./world.mjs";

const folder = new URL("../screenshots/", import.meta.url).pathname;
mkdirSync(folder, { recursive: true });
const sizes = { desktop: { width: 1280, height: 800 }, phone: { width: 360, height: 740 } };

await inWorld(sizes.desktop, "light", async ({ page, link, url, send }) => {
  await page.goto(link);
  send("demonstration");
  await page.getByRole("link", { name: /INC-1 / }).click();
  await page.getByText("succeeded", { exact: true }).waitFor();
  const host = await page.evaluate(async () => (await (await fetch("/api/v1/cis?class=host")).json()).items[0].id);
  const pages = { now: "/", incident: "/incidents/INC-1", runs: "/runs", cmdb: "/cmdb", item: `/cmdb/${host}`, fleet: "/fleet", ledger: "/ledger" };
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    for (const [size, viewport] of Object.entries(sizes)) {
      await page.setViewportSize(viewport);
      for (const [name, path] of Object.entries(pages)) {
        await page.goto(url + path);
        await page.getByRole("heading", { level: 1 }).waitFor();
        await page.waitForTimeout(500);
        await page.screenshot({ path: `${folder}${name}-${size}-${colorScheme}.png`, fullPage: name === "incident" });
      }
    }
  }
});
