/** The command palette: Ctrl K goes to a page, or to a record by its number. */
import { Button } from "@mantine/core";
import { Spotlight, spotlight } from "@mantine/spotlight";
import { useNavigate } from "@tanstack/react-router";
import { useState } from "react";

import "@mantine/spotlight/styles.css";
import { words } from "../words";
import { addressOf, pages } from "./pages";

export default function Palette() {
  const navigate = useNavigate();
  const [typed, setTyped] = useState("");
  const record = addressOf(typed);
  const go = (to: string) => () => void navigate({ to });
  const all = pages.filter((page) => page.menu).map(({ path, title }) => ({ id: path, label: title, onClick: go(path) }));
  const actions = record === undefined ? all : [{ id: record, label: typed.toUpperCase(), onClick: go(record) }, ...all];
  return (
    <>
      <Button variant="default" size="xs" onClick={spotlight.open} visibleFrom="xs">
        {words.shell.search}
      </Button>
      <Spotlight
        actions={actions}
        query={typed}
        onQueryChange={setTyped}
        shortcut={["mod + K", "/"]}
        nothingFound={words.shell.nothingFound}
        searchProps={{ placeholder: words.shell.searchShort, "aria-label": words.shell.searchShort }}
      />
    </>
  );
}
