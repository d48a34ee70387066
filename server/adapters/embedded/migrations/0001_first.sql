-- First schema. An applied migration is never edited: its SHA-256 is recorded, and a changed one refuses to start.
-- Ids are 16 bytes, digests and keys 32, times milliseconds since the Unix epoch. docs/data-model.md tells the lives.

CREATE TABLE accounts (
    id               BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    email            TEXT    NOT NULL UNIQUE,
    display_name     TEXT    NOT NULL,
    tier             TEXT    NOT NULL,
    record           BLOB    NOT NULL,
    bundle           BLOB    NOT NULL,
    password_wrap    BLOB    NOT NULL,
    recovery_wrap    BLOB    NOT NULL,
    revocation_epoch INTEGER NOT NULL,
    quota_bytes      INTEGER NOT NULL,
    created_at_ms    INTEGER NOT NULL
) STRICT;

-- Bytes of the undeleted versions and unfinished uploads in an account's projects, kept in step by every change.
CREATE TABLE usage (
    account BLOB    NOT NULL PRIMARY KEY REFERENCES accounts (id) ON DELETE CASCADE,
    bytes   INTEGER NOT NULL CHECK (bytes >= 0)
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
    id              BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    account         BLOB    NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    holder_pk       BLOB    NOT NULL CHECK (length(holder_pk) = 32),
    refresh_hash    BLOB    NOT NULL CHECK (length(refresh_hash) = 32),
    logged_in_at_ms INTEGER NOT NULL,
    expires_at_ms   INTEGER NOT NULL,
    live            INTEGER NOT NULL CHECK (live IN (0, 1))
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_by_account ON sessions (account);

-- Every refresh token that a session has or had, by its SHA-256.
CREATE TABLE refresh_tokens (
    hash    BLOB NOT NULL PRIMARY KEY CHECK (length(hash) = 32),
    session BLOB NOT NULL REFERENCES sessions (id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX refresh_tokens_by_session ON refresh_tokens (session);

CREATE TABLE projects (
    id                BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    owner             BLOB    NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    name              TEXT    NOT NULL,
    created_at_ms     INTEGER NOT NULL,
    environment_count INTEGER NOT NULL CHECK (environment_count >= 0),
    UNIQUE (owner, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE environments (
    id                 BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    project            BLOB    NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    name               TEXT    NOT NULL,
    epoch              INTEGER NOT NULL CHECK (epoch >= 1),
    head               INTEGER NOT NULL CHECK (head >= 0), -- number of the current version, 0 for none
    created_at_ms      INTEGER NOT NULL,
    origin_environment BLOB,
    origin_version     INTEGER,
    UNIQUE (project, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE keyrings (
    environment BLOB    NOT NULL REFERENCES environments (id) ON DELETE CASCADE,
    epoch       INTEGER NOT NULL,
    file        BLOB    NOT NULL,
    seal        BLOB    NOT NULL,
    PRIMARY KEY (environment, epoch)
) STRICT;

CREATE TABLE versions (
    environment   BLOB    NOT NULL REFERENCES environments (id) ON DELETE CASCADE,
    number        INTEGER NOT NULL CHECK (number >= 1),
    digest        BLOB    NOT NULL CHECK (length(digest) = 32),
    len           INTEGER NOT NULL CHECK (len >= 0),
    seal          BLOB    NOT NULL,
    epoch         INTEGER NOT NULL,
    author        BLOB    NOT NULL,
    created_at_ms INTEGER NOT NULL,
    deleted       INTEGER NOT NULL CHECK (deleted IN (0, 1)),
    PRIMARY KEY (environment, number)
) STRICT, WITHOUT ROWID;
-- For the sweep.
CREATE INDEX versions_by_digest ON versions (digest) WHERE deleted = 0;

CREATE TABLE uploads (
    id            BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    account       BLOB    NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    project       BLOB    NOT NULL,
    environment   BLOB    NOT NULL REFERENCES environments (id) ON DELETE CASCADE,
    match_version INTEGER NOT NULL, -- 0: the write demands that there is no version
    match_digest  BLOB    NOT NULL,
    len           INTEGER NOT NULL CHECK (len >= 0),
    digest        BLOB    NOT NULL CHECK (length(digest) = 32),
    seal          BLOB    NOT NULL,
    expires_at_ms INTEGER NOT NULL,
    received      BLOB    NOT NULL  -- one bit for each chunk, lowest bit first
) STRICT;
CREATE INDEX uploads_by_account ON uploads (account);
CREATE INDEX uploads_by_environment ON uploads (environment);
CREATE INDEX uploads_by_digest ON uploads (digest);
CREATE INDEX uploads_by_expiry ON uploads (expires_at_ms);

-- Blobs of at most 64 KiB; larger ones are files. Rows go in at the end, only the index is in order of digest.
CREATE TABLE small_blobs (
    digest       BLOB    NOT NULL PRIMARY KEY CHECK (length(digest) = 32),
    bytes        BLOB    NOT NULL,
    stored_at_ms INTEGER NOT NULL
) STRICT;

-- Audit lines in their trails, dense from 0, each with its MAC over trail, index and entry.
CREATE TABLE outbox (
    trail BLOB    NOT NULL CHECK (length(trail) = 17),
    idx   INTEGER NOT NULL CHECK (idx >= 0),
    entry BLOB    NOT NULL,
    mac   BLOB    NOT NULL CHECK (length(mac) = 32),
    PRIMARY KEY (trail, idx)
) STRICT, WITHOUT ROWID;

-- Answers of requests that may be repeated.
CREATE TABLE replies (
    account       BLOB    NOT NULL,
    method        TEXT    NOT NULL,
    request_id    BLOB    NOT NULL CHECK (length(request_id) = 16),
    content       BLOB    NOT NULL CHECK (length(content) = 32),
    reply         BLOB    NOT NULL,
    expires_at_ms INTEGER NOT NULL,
    PRIMARY KEY (account, method, request_id)
) STRICT;
CREATE INDEX replies_by_expiry ON replies (expires_at_ms);
