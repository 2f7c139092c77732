-- What makes a renumbering of a spool survive a restart. before_hashes: contents taken under other spools of the agent, passed
-- over below the number before_until. condemned: nothing more is taken under this id, another was asked for.

ALTER TABLE spool_mark ADD COLUMN before_hashes BYTEA;
ALTER TABLE spool_mark ADD COLUMN before_until BIGINT NOT NULL DEFAULT 0;
ALTER TABLE spool_mark ADD COLUMN condemned BIGINT NOT NULL DEFAULT 0;
