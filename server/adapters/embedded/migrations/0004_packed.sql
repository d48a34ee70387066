-- Many lines of a trail in one row of the outbox, and the edge of each tree in its lock row. docs/data-model.md.

-- Lines in the row: one as before, or several, each behind its length, with one MAC over all.
ALTER TABLE outbox ADD COLUMN count INTEGER NOT NULL DEFAULT 1 CHECK (count BETWEEN 1 AND 256);

-- Hashes of the perfect subtrees, largest first; empty in rows from before, until the log grows.
ALTER TABLE logs ADD COLUMN edge BLOB NOT NULL DEFAULT x'';
