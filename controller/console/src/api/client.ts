/** The controller's API, typed by its own document; what it refuses is thrown as a `Fault` with its sentence. */
import createClient from "openapi-fetch";

import type { paths } from "./schema";

/** What the API says when it does not do what was asked (RFC 9457). */
export class Fault extends Error {
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, detail: string) {
    super(detail);
    this.status = status;
    this.code = code;
  }
}

// The session's mark: known once the session is, sent with whatever changes something.
let mark: string | null = null;
export const setMark = (value: string | null) => {
  mark = value;
};

export const api = createClient<paths>({ baseUrl: "/", credentials: "same-origin" });

api.use({
  onRequest({ request }) {
    if (mark !== null && request.method !== "GET") request.headers.set("X-Watchkeep-Mark", mark);
    return request;
  },
});

/** The body of an answer, or its fault. The document names no shapes of bodies: `records.ts` does. */
export async function read<T>(answer: Promise<{ data?: unknown; error?: unknown; response: Response }>): Promise<T> {
  const { data, error, response } = await answer;
  if (response.ok) return data as T;
  const problem = (error ?? {}) as { code?: string; detail?: string };
  throw new Fault(response.status, problem.code ?? "strange", problem.detail ?? `the controller answered ${response.status}`);
}
