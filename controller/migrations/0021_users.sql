-- People who log in, their sessions, and links that log in once. Facts name a person by id; the name stands here alone.
-- A password is an argon2id string (PHC); sessions and links stand here as the SHA-256 of 32 random bytes.

CREATE TABLE person (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    password TEXT,
    role TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    seen_at BIGINT,
    removed_at BIGINT
);
-- One person in force a name.
CREATE UNIQUE INDEX person_in_force ON person (name) WHERE removed_at IS NULL;

CREATE TABLE person_session (
    secret_hash BYTEA NOT NULL PRIMARY KEY,
    person TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL
);
CREATE INDEX person_session_person ON person_session (person, created_at);

CREATE TABLE login_link (
    secret_hash BYTEA NOT NULL PRIMARY KEY,
    person TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX login_link_expires ON login_link (expires_at);
