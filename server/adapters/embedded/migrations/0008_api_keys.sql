-- API keys. `verifier` is a MAC under a key that is not in the folder's database; the secret is nowhere.

CREATE TABLE api_keys (
    id                   BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    account              BLOB    NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    name                 TEXT    NOT NULL,
    actions              INTEGER NOT NULL CHECK (actions > 0),
    project              BLOB,
    environments         TEXT    NOT NULL, -- names, a space between two
    networks             TEXT    NOT NULL, -- networks, a space between two
    public_key           BLOB,
    generation           INTEGER NOT NULL CHECK (generation >= 1),
    verifier             BLOB    NOT NULL CHECK (length(verifier) = 32),
    before_verifier      BLOB, -- the secret before, while it is good
    before_expires_at_ms INTEGER,
    before_until_ms      INTEGER,
    created_at_ms        INTEGER NOT NULL,
    expires_at_ms        INTEGER NOT NULL,
    revoked_at_ms        INTEGER,
    last_used_at_ms      INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX api_keys_by_account ON api_keys (account, id);
