import { Tooltip } from "@mantine/core";
import { useEffect, useState } from "react";

import { age, words } from "../words";

/** How long ago, or in how long, with the exact time on hover and for screen readers. */
export function Ago({ at }: { at: number }) {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 10_000);
    return () => clearInterval(timer);
  }, []);
  const exact = new Date(at).toLocaleString();
  return (
    <Tooltip label={exact} events={{ hover: true, focus: true, touch: true }}>
      <time dateTime={new Date(at).toISOString()} title={exact}>
        {at > now ? words.in(age(at - now)) : age(now - at)}
      </time>
    </Tooltip>
  );
}
