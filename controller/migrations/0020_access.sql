-- Who may: enrolment tokens, the certificates that came of them, API tokens. Secrets stand here as SHA-256 alone.

CREATE TABLE enrolment_token (
    id TEXT NOT NULL PRIMARY KEY,
    secret_hash BYTEA NOT NULL,
    labels TEXT NOT NULL,
    uses_max BIGINT NOT NULL,
    uses BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT
);
CREATE INDEX enrolment_token_created ON enrolment_token (created_at, id);

-- wanted: the name that the host asked for. told = 1: the desk has taken it as an input. quarantined = 1: two live
-- sessions used it, and the next host that enrols under the name replaces it.
CREATE TABLE certificate (
    serial TEXT NOT NULL PRIMARY KEY,
    agent TEXT NOT NULL,
    wanted TEXT NOT NULL,
    token TEXT NOT NULL,
    key_hash BYTEA NOT NULL,
    pem TEXT NOT NULL,
    labels TEXT NOT NULL,
    issued_at BIGINT NOT NULL,
    not_after BIGINT NOT NULL,
    told BIGINT NOT NULL,
    quarantined BIGINT NOT NULL,
    revoked_at BIGINT,
    revoked_by TEXT,
    revoked_why TEXT
);
-- One certificate in force a name.
CREATE UNIQUE INDEX certificate_in_force ON certificate (agent) WHERE revoked_at IS NULL;
CREATE INDEX certificate_agent ON certificate (agent, issued_at);
CREATE INDEX certificate_token ON certificate (token, issued_at);
CREATE INDEX certificate_told ON certificate (told, issued_at, serial);

CREATE TABLE api_token (
    id TEXT NOT NULL PRIMARY KEY,
    secret_hash BYTEA NOT NULL,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    expires_at BIGINT,
    last_used_at BIGINT,
    revoked_at BIGINT
);
CREATE INDEX api_token_created ON api_token (created_at, id);
