-- Capabilities that accounts have issued for other keys. Each stands in `sessions` as well, live or not, without a
-- refresh token: what ends sessions ends it, and the request's one look-up is the same.

CREATE TABLE capabilities (
    id           BLOB    NOT NULL PRIMARY KEY REFERENCES sessions (id) ON DELETE CASCADE,
    account      BLOB    NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    name         TEXT    NOT NULL,
    grants       TEXT    NOT NULL, -- bits of the actions and the place, a line for each
    kid          BLOB    NOT NULL CHECK (length(kid) = 8),
    issued_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX capabilities_by_account ON capabilities (account, id);
