import { Alert, Button, Text } from "@mantine/core";

import { words } from "../words";

/** What went wrong, in the controller's own words, and the way to try again. */
export function Trouble({ error, again }: { error: Error; again?: () => void }) {
  return (
    <Alert variant="default" title={words.fault.title} role="alert">
      <Text size="sm">{error.message}</Text>
      {again && (
        <Button mt="xs" size="xs" variant="default" onClick={again}>
          {words.fault.retry}
        </Button>
      )}
    </Alert>
  );
}
