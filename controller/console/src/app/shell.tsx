/** What stands around every page: menu, command palette, whether it is live, and who is logged in. */
import {
  ActionIcon,
  Alert,
  AppShell,
  Badge,
  Burger,
  Button,
  Group,
  Loader,
  NavLink,
  Text,
  useMantineColorScheme,
} from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { Link, Outlet, useLocation, useNavigate } from "@tanstack/react-router";
import { Suspense, lazy, useEffect } from "react";

import { Fault, api, read } from "../api/client";
import { Trouble } from "../components/trouble";
import { words } from "../words";
import { useLive } from "./live";
import { pages } from "./pages";
import { sessionQuery } from "./session";

const Palette = lazy(() => import("./palette"));

export function Shell() {
  const session = useQuery(sessionQuery);
  const navigate = useNavigate();
  const at = useLocation();
  const isOut = session.error instanceof Fault && session.error.status === 401;
  useEffect(() => {
    if (isOut) void navigate({ to: "/login", search: { to: at.href }, replace: true });
  }, [isOut, navigate, at.href]);
  if (session.data !== undefined) return <Inside name={session.data.name} role={session.data.role} />;
  if (session.error && !isOut) return <Trouble error={session.error} />;
  return <Loader m="xl" aria-label={words.product} />;
}

function Inside({ name, role }: { name: string; role: string }) {
  const isLive = useLive();
  const [isOpen, menu] = useDisclosure();
  const at = useLocation();
  const title = pages.find(({ path }) => path === at.pathname)?.title ?? at.pathname.split("/").pop();
  useEffect(() => {
    document.title = `${title} – ${words.product}`;
    menu.close();
  }, [title]);
  return (
    <AppShell header={{ height: 52 }} navbar={{ width: 190, breakpoint: "sm", collapsed: { mobile: !isOpen } }} padding="md">
      <AppShell.Header>
        <Group h="100%" px="sm" justify="space-between" wrap="nowrap" gap="xs">
          <Group gap="xs" wrap="nowrap">
            <Burger opened={isOpen} onClick={menu.toggle} hiddenFrom="sm" size="sm" aria-label={words.shell.menu} />
            <Text fw={700}>{words.product}</Text>
            <Badge color="red.9" variant={isLive ? "default" : "filled"} size="sm">
              {isLive ? words.shell.live : "!"}
            </Badge>
          </Group>
          <Group gap="xs" wrap="nowrap">
            <Suspense>
              <Palette />
            </Suspense>
            <Theme />
          </Group>
        </Group>
      </AppShell.Header>
      <AppShell.Navbar p="xs" aria-label={words.shell.menu}>
        {pages
          .filter((page) => page.menu)
          .map((page) => (
            <NavLink
              key={page.path}
              renderRoot={(props) => <Link to={page.path} {...props} />}
              label={page.title}
              active={page.path === "/" ? at.pathname === "/" : at.pathname.startsWith(page.path)}
            />
          ))}
        <Text size="sm" mt="auto" p="xs">
          {name}, {role}
        </Text>
        <LogOut />
      </AppShell.Navbar>
      <AppShell.Main id="main">
        {!isLive && <Alert variant="default" mb="md" role="alert" title={words.shell.lost} />}
        <Outlet />
      </AppShell.Main>
    </AppShell>
  );
}

function Theme() {
  const { toggleColorScheme } = useMantineColorScheme();
  return (
    <ActionIcon variant="default" size="lg" onClick={toggleColorScheme} aria-label={words.shell.theme}>
      ◐
    </ActionIcon>
  );
}

function LogOut() {
  const queries = useQueryClient();
  const navigate = useNavigate();
  const out = async () => {
    await read(api.DELETE("/api/v1/session"));
    queries.clear();
    await navigate({ to: "/login" });
  };
  return (
    <Button variant="default" size="xs" onClick={() => void out()}>
      {words.shell.logOut}
    </Button>
  );
}
