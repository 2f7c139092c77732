import { Badge } from "@mantine/core";

import { plain } from "../words";

const LEVELS = ["red.9", "orange.9", "yellow.9", "blue.9", "gray.7"];

/** P1 to P5: told by the figure, the colour only helps. */
export function Level({ level }: { level: number }) {
  return (
    <Badge color={LEVELS[level - 1] ?? "gray.7"} variant="filled" autoContrast radius="sm" miw={38}>
      P{level}
    </Badge>
  );
}

/** A state in words. */
export function State({ state }: { state: string }) {
  return (
    <Badge variant="default" radius="sm" tt="none">
      {plain(state)}
    </Badge>
  );
}
