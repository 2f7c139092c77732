import { Button, Card, Code, PasswordInput, Stack, Text, TextInput, Title } from "@mantine/core";
import { useQueryClient } from "@tanstack/react-query";
import { useNavigate, useSearch } from "@tanstack/react-router";
import { useEffect, useRef, useState } from "react";

import { api, read } from "../api/client";
import { Trouble } from "../components/trouble";
import { words } from "../words";

/** Only addresses of our own are gone on to. */
const within = (to: unknown) => (typeof to === "string" && /^\/(?![/\\])/.test(to) ? to : "/");

/** Logs in with a name and a password, or with the link whose secret stands behind the `#`. */
export default function Login() {
  const to = within((useSearch({ strict: false }) as Record<string, unknown>).to);
  const queries = useQueryClient();
  const navigate = useNavigate();
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [error, setError] = useState<Error>();
  const [link] = useState(() => window.location.hash.slice(1));
  const [isBusy, setBusy] = useState(link !== "");
  const followed = useRef(false);

  const enter = async (answer: Parameters<typeof read>[0]) => {
    setBusy(true);
    setError(undefined);
    try {
      await read(answer);
      queries.clear();
      await navigate({ href: to, replace: true });
    } catch (fault) {
      setError(fault as Error);
      setBusy(false);
    }
  };
  useEffect(() => {
    // A link is good for one use: never twice, whatever renders again.
    if (link === "" || followed.current) return;
    followed.current = true;
    void enter(api.POST("/api/v1/session/link", { body: { link } }));
  });

  return (
    <Stack component="main" maw={380} mx="auto" mt="10vh" px="md">
      <Title order={1} size="h2">
        {words.product}
      </Title>
      {error && <Trouble error={error} />}
      {isBusy && link !== "" ? (
        <Text>{words.login.following}</Text>
      ) : (
        <Card withBorder>
          <form
            onSubmit={(event) => {
              event.preventDefault();
              void enter(api.POST("/api/v1/session", { body: { name, password } }));
            }}
          >
            <Stack>
              <TextInput
                label={words.login.name}
                value={name}
                onChange={(event) => setName(event.currentTarget.value)}
                autoComplete="username"
                autoCapitalize="none"
                required
                withAsterisk={false}
              />
              <PasswordInput
                label={words.login.password}
                value={password}
                onChange={(event) => setPassword(event.currentTarget.value)}
                autoComplete="current-password"
                required
                withAsterisk={false}
              />
              <Button type="submit" loading={isBusy}>
                {words.login.submit}
              </Button>
            </Stack>
          </form>
        </Card>
      )}
      <Text size="sm">
        {words.login.lost} <Code>{words.login.command}</Code>
      </Text>
    </Stack>
  );
}
