-- What flows: effects owed to the world, what was taken from each spool, events, generations.

CREATE TABLE outbox (
    id TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    owed_at BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    attempts BIGINT NOT NULL,
    last_error TEXT,
    done_at BIGINT,
    dead_at BIGINT
);
CREATE INDEX outbox_due ON outbox (done_at, dead_at, due_at, id);
CREATE INDEX outbox_dead ON outbox (dead_at, id);

-- Matters of a spool below next_matter are committed. hashes: rolling content hashes by which a cloned spool is noticed.
CREATE TABLE spool_mark (
    agent TEXT NOT NULL,
    spool TEXT NOT NULL,
    next_matter BIGINT NOT NULL,
    hashes BYTEA NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (agent, spool)
);

CREATE TABLE event (
    id TEXT NOT NULL PRIMARY KEY,
    agent TEXT NOT NULL,
    kind TEXT NOT NULL,
    at BIGINT NOT NULL,
    learned_at BIGINT NOT NULL,
    labels TEXT NOT NULL,
    text TEXT NOT NULL
);
CREATE INDEX event_learned ON event (learned_at, id);
CREATE INDEX event_agent ON event (agent, learned_at, id);

CREATE TABLE generation (
    hash TEXT NOT NULL PRIMARY KEY,
    at BIGINT NOT NULL,
    author TEXT NOT NULL,
    files TEXT NOT NULL
);
CREATE INDEX generation_at ON generation (at, hash);
