-- Ids that API keys have or had: none is given out again, whatever became of the key or of its account. They are random and
-- lead to nobody.
CREATE TABLE api_key_ids (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16)
) STRICT, WITHOUT ROWID;
INSERT INTO api_key_ids SELECT id FROM api_keys;

-- An answer that may be repeated belongs to the account, and to the API key that asked; `api_key` is empty for a session.
CREATE TABLE own_replies (
    account       BLOB    NOT NULL,
    api_key       BLOB    NOT NULL CHECK (length(api_key) IN (0, 16)),
    method        TEXT    NOT NULL,
    request_id    BLOB    NOT NULL CHECK (length(request_id) = 16),
    content       BLOB    NOT NULL CHECK (length(content) = 32),
    reply         BLOB    NOT NULL,
    expires_at_ms INTEGER NOT NULL,
    PRIMARY KEY (account, api_key, method, request_id)
) STRICT;
INSERT INTO own_replies SELECT account, x'', method, request_id, content, reply, expires_at_ms FROM replies;
DROP TABLE replies;
ALTER TABLE own_replies RENAME TO replies;
CREATE INDEX replies_by_expiry ON replies (expires_at_ms);
