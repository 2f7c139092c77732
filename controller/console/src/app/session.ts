/** Who is logged in. */
import { useQuery } from "@tanstack/react-query";

import { Fault, api, read, setMark } from "../api/client";
import type { Session } from "../api/records";

const ROLES = ["viewer", "responder", "operator", "admin"] as const;

export const sessionQuery = {
  queryKey: ["session"],
  queryFn: async () => {
    const session = await read<Session>(api.GET("/api/v1/session", {}));
    setMark(session.mark);
    return session;
  },
  retry: (count: number, error: Error) => !(error instanceof Fault && error.status === 401) && count < 2,
  staleTime: Infinity,
};

export function useSession(): Session | undefined {
  return useQuery(sessionQuery).data;
}

/** Whether the one logged in may do what takes `role`. The API decides; this only hides what it would refuse. */
export function useMay(role: Session["role"]): boolean {
  const session = useSession();
  return session !== undefined && ROLES.indexOf(session.role) >= ROLES.indexOf(role);
}
