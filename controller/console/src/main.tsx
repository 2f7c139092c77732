import { MantineProvider, createTheme } from "@mantine/core";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";

import { Fault } from "./api/client";
import { router } from "./app/router";
import "./app/styles";

const nonce = document.querySelector<HTMLMetaElement>('meta[name="style-nonce"]')?.content ?? "";
// The library that keeps the page still behind a dialog takes the number for its styles from here.
Object.assign(globalThis, { __webpack_nonce__: nonce });
const theme = createTheme({ primaryColor: "blue", primaryShade: { light: 8, dark: 9 }, autoContrast: true, respectReducedMotion: true });
const queries = new QueryClient({
  defaultOptions: {
    queries: {
      // The stream says when something is old.
      staleTime: 60_000,
      retry: (count, error) => !(error instanceof Fault && error.status < 500) && count < 2,
    },
  },
});

const root = document.getElementById("root");
if (root === null) throw new Error("index.html has no #root");
createRoot(root).render(
  <StrictMode>
    <MantineProvider theme={theme} defaultColorScheme="auto" getStyleNonce={() => nonce}>
      <QueryClientProvider client={queries}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </MantineProvider>
  </StrictMode>,
);
