import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

// `make console-dev` hands what is not the console's to a controller that runs.
const controller = process.env.WATCHKEEP_URL ?? "http://127.0.0.1:8420";

export default defineConfig({
  plugins: [react()],
  build: { target: "es2022", modulePreload: { polyfill: false }, assetsInlineLimit: 0 },
  server: { proxy: { "/api": controller, "/prometheus": controller, "/alertmanager": controller } },
  test: { include: ["{src,build}/**/*.test.{ts,tsx,mjs}"] },
});
