-- The logs: one lock row each, where its blocks are in the segment files, and who may write. docs/data-model.md.

CREATE TABLE logs (
    trail          BLOB    NOT NULL PRIMARY KEY CHECK (length(trail) = 17),
    size           INTEGER NOT NULL CHECK (size >= 1),
    root           BLOB    NOT NULL CHECK (length(root) = 32),
    checkpoint     BLOB    NOT NULL,
    signed_at_ms   INTEGER NOT NULL,
    published      BLOB,             -- the newest checkpoint that may be shown, and its size
    published_size INTEGER NOT NULL CHECK (published_size >= 0 AND published_size <= size)
) STRICT, WITHOUT ROWID;

-- A block: leaves `first` to `first + count`, never across a multiple of 256, at a byte offset of a segment file.
CREATE TABLE log_blocks (
    trail       BLOB    NOT NULL CHECK (length(trail) = 17),
    first       INTEGER NOT NULL CHECK (first >= 0),
    count       INTEGER NOT NULL CHECK (count BETWEEN 1 AND 256),
    segment     INTEGER NOT NULL CHECK (segment >= 0),
    offset      INTEGER NOT NULL CHECK (offset >= 0),
    entries_len INTEGER NOT NULL CHECK (entries_len >= 0),
    PRIMARY KEY (trail, first)
) STRICT, WITHOUT ROWID;

-- Who may commit, and where the next frame begins.
CREATE TABLE log_sequencer (
    id      INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    epoch   INTEGER NOT NULL CHECK (epoch >= 0),
    segment INTEGER NOT NULL CHECK (segment >= 0),
    offset  INTEGER NOT NULL CHECK (offset >= 0),
    frame   INTEGER NOT NULL CHECK (frame >= 0)
) STRICT;
INSERT INTO log_sequencer VALUES (1, 0, 0, 0, 0);

-- The leaf of a version's audit line in the log of its project; null when the line could not be found.
ALTER TABLE versions ADD COLUMN log_index INTEGER CHECK (log_index >= 0);

-- The directory's newest leaf about the account's keys; null for accounts from before there was a directory.
ALTER TABLE accounts ADD COLUMN key_index INTEGER CHECK (key_index >= 0);

-- Lines from before there was a log: version 1, kind 40 in two bytes, flags, time, actor, environment from byte 29 on,
-- number from 45, digest from 53. Their index in the outbox is their leaf.
CREATE TEMP TABLE old_puts (
    environment BLOB    NOT NULL,
    number      TEXT    NOT NULL, -- 16 hexadecimal digits
    digest      BLOB    NOT NULL,
    idx         INTEGER NOT NULL,
    PRIMARY KEY (environment, number)
) WITHOUT ROWID;
INSERT OR IGNORE INTO old_puts
    SELECT e.id, hex(substr(o.entry, 45, 8)), substr(o.entry, 53, 32), o.idx
    FROM outbox o JOIN environments e ON e.id = substr(o.entry, 29, 16)
    WHERE length(o.entry) = 84 AND substr(o.entry, 1, 3) = x'010028'
      AND substr(o.trail, 1, 1) = x'01' AND substr(o.trail, 2) = e.project;
UPDATE versions SET log_index = (
    SELECT p.idx FROM old_puts p
    WHERE p.environment = versions.environment AND p.number = printf('%016X', versions.number)
      AND p.digest = versions.digest);
DROP TABLE old_puts;
