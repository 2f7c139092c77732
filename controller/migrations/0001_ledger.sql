-- The ledger, what signs its heads, who may write, and which input was the last.

-- A chain's entries without their bodies; kept for ever. The hash covers prev, every column before it, and body_hash.
CREATE TABLE ledger (
    chain TEXT NOT NULL,
    seq BIGINT NOT NULL,
    happened_at BIGINT NOT NULL,
    learned_at BIGINT NOT NULL,
    subject_kind TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    actor TEXT NOT NULL,
    kind TEXT NOT NULL,
    cause BIGINT NOT NULL,
    ordinal BIGINT NOT NULL,
    generation TEXT NOT NULL,
    body_hash BYTEA NOT NULL,
    prev BYTEA NOT NULL,
    hash BYTEA NOT NULL,
    PRIMARY KEY (chain, seq)
);
-- An input that is committed a second time is refused here, whatever went wrong before.
CREATE UNIQUE INDEX ledger_cause ON ledger (chain, cause, ordinal);
CREATE INDEX ledger_subject ON ledger (subject_kind, subject_id, chain, seq);
CREATE INDEX ledger_kind ON ledger (kind, chain, seq);

-- The bodies, each erasable on its own: then salt and body are null, and the row stays to say so.
CREATE TABLE ledger_body (
    chain TEXT NOT NULL,
    seq BIGINT NOT NULL,
    salt BYTEA,
    body TEXT,
    PRIMARY KEY (chain, seq)
);

-- Signed heads.
CREATE TABLE checkpoint (
    chain TEXT NOT NULL,
    seq BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    at BIGINT NOT NULL,
    key_id TEXT NOT NULL,
    signature BYTEA NOT NULL,
    PRIMARY KEY (chain, seq)
);

-- Who decides: read by every transaction of the one who does.
CREATE TABLE lease (
    name TEXT NOT NULL PRIMARY KEY,
    epoch BIGINT NOT NULL,
    holder TEXT NOT NULL,
    taken_at BIGINT NOT NULL
);

-- The last input of a chain whose outcome is committed.
CREATE TABLE input_mark (
    chain TEXT NOT NULL PRIMARY KEY,
    input_order BIGINT NOT NULL,
    at BIGINT NOT NULL
);
