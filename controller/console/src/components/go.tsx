import { Anchor } from "@mantine/core";
import { Link } from "@tanstack/react-router";
import type { ReactNode } from "react";

/** A link to a page of the console. */
export function Go({ to, children }: { to: string; children: ReactNode }) {
  return <Anchor renderRoot={(props) => <Link to={to} {...props} />} underline="always">{children}</Anchor>;
}
