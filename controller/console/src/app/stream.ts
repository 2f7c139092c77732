/** Server-sent events (HTML standard, 9.2.6), of which the ledger's stream uses `id`, `event` and `data`. */
export interface Told {
  id: string;
  event: string;
}

/** Takes text as it comes and gives the events that are whole. Lines end with a line feed, as ours do. */
export class Reader {
  private rest = "";
  private id = "";
  private event = "";

  take(text: string): Told[] {
    const lines = (this.rest + text).split("\n");
    this.rest = lines.pop() ?? "";
    const told: Told[] = [];
    for (const line of lines) {
      if (line === "") {
        if (this.event !== "") told.push({ id: this.id, event: this.event });
        this.event = "";
      } else if (line.startsWith("id:")) {
        this.id = line.slice(3).trim();
      } else if (line.startsWith("event:")) {
        this.event = line.slice(6).trim();
      }
    }
    return told;
  }
}

/** Which lists a fact of this kind may have changed, as the first word of their query keys. */
export function touched(kind: string): string[] {
  const practice = kind.split(".")[0] ?? "";
  const known: Record<string, string[]> = {
    incident: ["incidents", "problems"],
    problem: ["problems", "incidents"],
    run: ["runs", "incidents"],
    change: ["changes"],
    agent: ["agents", "status"],
    ci: ["cis"],
    relation: ["cis"],
  };
  return [...(known[practice] ?? ["status"]), "facts"];
}
