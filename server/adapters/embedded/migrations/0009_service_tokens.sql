-- Service tokens: API keys whose key is split between the token and the server. docs/data-model.md.

ALTER TABLE api_keys DROP COLUMN public_key;

-- The server's half, for each generation of a key that is good; destroyed when it is over. The zeros before the sealed share
-- put the share into pages of its own. Elsewhere rows move when others come and go, and what moves leaves copies behind.
CREATE TABLE token_halves (
    id         INTEGER PRIMARY KEY,
    api_key    BLOB    NOT NULL REFERENCES api_keys (id) ON DELETE CASCADE,
    generation INTEGER NOT NULL CHECK (generation >= 1),
    record     BLOB    NOT NULL,
    digest     BLOB    NOT NULL CHECK (length(digest) = 32),
    trust      BLOB    NOT NULL,
    share      BLOB    NOT NULL CHECK (length(share) = 4168), -- 4,096 zeros, 72 bytes
    UNIQUE (api_key, generation)
) STRICT;

-- An API key has a part for each of its records that is good: in an overlap two.
ALTER TABLE keyring_parts RENAME TO keyring_parts_before;
CREATE TABLE keyring_parts (
    environment   BLOB    NOT NULL,
    epoch         INTEGER NOT NULL,
    principal     BLOB    NOT NULL CHECK (length(principal) = 17),
    principal_key BLOB    NOT NULL CHECK (length(principal_key) = 32),
    file          BLOB    NOT NULL,
    seal          BLOB    NOT NULL,
    access_list   INTEGER NOT NULL CHECK (access_list >= 0),
    PRIMARY KEY (environment, epoch, principal, principal_key),
    FOREIGN KEY (environment, epoch) REFERENCES keyrings (environment, epoch) ON DELETE CASCADE
) STRICT;
INSERT INTO keyring_parts
    SELECT environment, epoch, principal, principal_key, file, seal, access_list FROM keyring_parts_before;
DROP TABLE keyring_parts_before;
