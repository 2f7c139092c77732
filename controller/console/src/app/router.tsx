/** The pages of `pages.ts` as routes in the shell; the log-in page stands by itself. */
import { createRootRoute, createRoute, createRouter, lazyRouteComponent } from "@tanstack/react-router";

import { pages } from "./pages";
import { Shell } from "./shell";

// Filters are words: what stands in the address is what the API is asked for.
const search = (raw: Record<string, unknown>) =>
  Object.fromEntries(Object.entries(raw).map(([name, value]) => [name, String(value)]));

const root = createRootRoute({ validateSearch: search });
const shell = createRoute({ getParentRoute: () => root, id: "shell", component: Shell });
const login = createRoute({
  getParentRoute: () => root,
  path: "/login",
  component: lazyRouteComponent(() => import("../pages/login")),
});
const routes = pages.map(({ path, load }) =>
  createRoute({ getParentRoute: () => shell, path, component: lazyRouteComponent(load) }),
);

export const router = createRouter({
  routeTree: root.addChildren([login, shell.addChildren(routes)]),
  parseSearch: (text) => Object.fromEntries(new URLSearchParams(text)),
  stringifySearch: (search) => {
    const text = new URLSearchParams(search as Record<string, string>).toString();
    return text === "" ? "" : `?${text}`;
  },
});
