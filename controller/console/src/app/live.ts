/** The ledger's stream, followed as long as somebody is logged in: what a fact touches is read again, nothing is polled. */
import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";

import { Reader, touched } from "./stream";

/** The controller says something every 15 s; past this the connection is gone. */
const SILENCE_MS = 40_000;
const AGAIN_MS = 2_000;
/** Facts that come together are one reading. */
const TOGETHER_MS = 250;

/** Follows the stream; false while the connection is lost. */
export function useLive(): boolean {
  const queries = useQueryClient();
  const [isLive, setLive] = useState(true);
  useEffect(() => {
    const stop = new AbortController();
    const due = new Set<string>();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const readAgain = () => {
      timer = undefined;
      for (const key of due) void queries.invalidateQueries({ queryKey: [key] });
      due.clear();
    };
    const take = (kind: string) => {
      for (const key of touched(kind)) due.add(key);
      timer ??= setTimeout(readAgain, TOGETHER_MS);
    };
    void follow(stop.signal, take, (live) => {
      setLive(live);
      // What happened while nobody listened is read once.
      if (live) void queries.invalidateQueries();
    });
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [queries]);
  return isLive;
}

async function follow(stop: AbortSignal, take: (kind: string) => void, standing: (live: boolean) => void) {
  let last = "";
  let wasLost = false;
  while (!stop.aborted) {
    const once = new AbortController();
    const end = () => once.abort();
    stop.addEventListener("abort", end);
    let silence = setTimeout(end, SILENCE_MS);
    try {
      const headers: Record<string, string> = last === "" ? {} : { "Last-Event-ID": last };
      const response = await fetch("/api/v1/stream", { headers, signal: once.signal });
      if (!response.ok || response.body === null) throw new Error(`answered ${response.status}`);
      if (wasLost) standing(true);
      wasLost = false;
      const reader = new Reader();
      const text = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { done, value } = await text.read();
        if (done) break;
        clearTimeout(silence);
        silence = setTimeout(end, SILENCE_MS);
        for (const told of reader.take(value)) {
          last = told.id;
          take(told.event);
        }
      }
    } catch {
      // Said below, whatever the reason.
    }
    clearTimeout(silence);
    stop.removeEventListener("abort", end);
    if (stop.aborted) return;
    if (!wasLost) standing(false);
    wasLost = true;
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
  }
}
