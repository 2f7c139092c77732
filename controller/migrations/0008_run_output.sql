-- Whether a record still holds what commands printed, which is kept for a shorter term than the record.
ALTER TABLE run ADD COLUMN output BIGINT NOT NULL DEFAULT 1;
ALTER TABLE incident ADD COLUMN output BIGINT NOT NULL DEFAULT 1;
CREATE INDEX run_output ON run (updated_at, number) WHERE held = 0 AND output = 1;
CREATE INDEX incident_output ON incident (updated_at, number) WHERE held = 0 AND output = 1;
