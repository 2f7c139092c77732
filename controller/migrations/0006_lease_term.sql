-- A lease has an end and a place. place: what only one living process can hold at a time. One that was taken before this
-- has run out.

ALTER TABLE lease ADD COLUMN place TEXT NOT NULL DEFAULT '';
ALTER TABLE lease ADD COLUMN expires_at BIGINT NOT NULL DEFAULT 0;
