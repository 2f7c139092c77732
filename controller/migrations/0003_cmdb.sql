-- The CMDB, in both times: when it was so (valid), and when we learned it (learned).

CREATE TABLE ci (
    id TEXT NOT NULL PRIMARY KEY,
    class TEXT NOT NULL,
    name TEXT NOT NULL,
    lifecycle TEXT NOT NULL,
    host TEXT,
    agent TEXT,
    first_seen BIGINT NOT NULL,
    last_seen BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX ci_class ON ci (class, name, id);
CREATE INDEX ci_name ON ci (name, id);
CREATE INDEX ci_host ON ci (host, class, name);

-- Every value that an attribute ever had; the lifecycle is the attribute '@lifecycle'. valid_to and unlearned_at are set
-- together, when a later value takes its place.
CREATE TABLE ci_attribute (
    ci TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    source TEXT NOT NULL,
    valid_from BIGINT NOT NULL,
    learned_at BIGINT NOT NULL,
    valid_to BIGINT,
    unlearned_at BIGINT
);
CREATE INDEX ci_attribute_ci ON ci_attribute (ci, name, learned_at);
CREATE INDEX ci_attribute_value ON ci_attribute (name, value, ci);

-- A row for each time that a relation held; latest = 1: the newest of its kind between the two.
CREATE TABLE relation (
    from_ci TEXT NOT NULL,
    kind TEXT NOT NULL,
    to_ci TEXT NOT NULL,
    learned_at BIGINT NOT NULL,
    valid_from BIGINT NOT NULL,
    valid_to BIGINT,
    unlearned_at BIGINT,
    latest BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (from_ci, kind, to_ci, learned_at)
);
CREATE INDEX relation_to ON relation (to_ci, kind, from_ci);
