// A controller with an agent of its own (`watchkeep up`), and a browser that is logged in to its console by the link.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const PATIENCE_MS = 60_000;
const programs = process.env.WATCHKEEP_PROGRAMS ?? new URL("../../../target/debug/", import.meta.url).pathname;

/** Starts both, has `work` done with {page, context, send, url}, and ends both whatever comes of it. */
export async function inWorld(viewport, colorScheme, work) {
  const folder = mkdtempSync(join(tmpdir(), "watchkeep-console-"));
  const env = { ...process.env, XDG_CONFIG_HOME: folder };
  const up = spawn(
    join(programs, "watchkeep"),
    ["up", "--data", join(folder, "data"), "--listen", "127.0.0.1:0", "--mqtt-listen", "127.0.0.1:0", "--enrol-listen", "127.0.0.1:0"],
    { env, stdio: ["ignore", "pipe", "pipe"] },
  );
  let browser;
  try {
    const link = await printed(up, /console\s+(http:\/\/\S+)/);
    browser = await chromium.launch({
      executablePath: chromiumPath(),
      args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
    });
    // Without the fading in of dialogs, through which nothing has its contrast yet.
    const context = await browser.newContext({ viewport, colorScheme, reducedMotion: "reduce" });
    const page = await context.newPage();
    page.setDefaultTimeout(PATIENCE_MS);
    const faults = [];
    page.on("pageerror", (error) => faults.push(String(error)));
    // What the policy refuses the browser says here, and nowhere else.
    page.on("console", (message) => message.type() === "error" && faults.push(message.text()));
    const send = (kind) => {
      const agentEnv = { ...env, WATCHKEEP_AGENT_CONFIG: join(folder, "data/agent/agent.yaml") };
      const sent = spawnSync(join(programs, "watchkeep-agent"), ["event", "send", kind], { env: agentEnv, encoding: "utf8" });
      if (sent.status !== 0) throw new Error(`send "${kind}": ${sent.stderr}`);
    };
    await work({ page, link, url: new URL(link).origin, send, faults });
    if (faults.length > 0) throw new Error(`the browser complains:\n${faults.join("\n")}`);
  } finally {
    await browser?.close();
    const ended = new Promise((resolve) => up.once("exit", resolve));
    if (up.exitCode === null && up.kill("SIGTERM")) await ended;
    rmSync(folder, { recursive: true, force: true });
  }
}

function chromiumPath() {
  const found = [process.env.CHROMIUM, "/usr/bin/chromium"].find((path) => path && existsSync(path));
  if (!found) throw new Error("no browser: apt-get install chromium, or name one in CHROMIUM");
  return found;
}

function printed(child, pattern) {
  return new Promise((resolve, reject) => {
    let seen = "";
    const timer = setTimeout(() => reject(new Error(`nothing like ${pattern} after ${PATIENCE_MS} ms; seen:\n${seen}`)), PATIENCE_MS);
    const take = (text) => {
      seen += text;
      const found = seen.match(pattern);
      if (found) {
        clearTimeout(timer);
        resolve(found[1]);
      }
    };
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`watchkeep ended with ${code}:\n${seen}`)));
  });
}
