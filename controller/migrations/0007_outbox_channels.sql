-- A row of the outbox for each channel that a notice goes to, so that each is tried, given up and sent again by itself.
-- channel is empty for commands, and for notices that no channel was set up for when they were owed; those that are there
-- already are of that kind, and are handed to the channels when they fall due.

CREATE TABLE outbox_by_channel (
    id TEXT NOT NULL,
    channel TEXT NOT NULL,
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    owed_at BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    last_error TEXT,
    done_at BIGINT,
    dead_at BIGINT,
    PRIMARY KEY (id, channel)
);
INSERT INTO outbox_by_channel (id, channel, kind, body, owed_at, due_at, attempts, last_error, done_at, dead_at)
    SELECT id, '', kind, body, owed_at, due_at, attempts, last_error, done_at, dead_at FROM outbox;
DROP TABLE outbox;
ALTER TABLE outbox_by_channel RENAME TO outbox;
CREATE INDEX outbox_due ON outbox (kind, done_at, dead_at, channel, due_at, id);
CREATE INDEX outbox_owed ON outbox (kind, owed_at, id, channel);
