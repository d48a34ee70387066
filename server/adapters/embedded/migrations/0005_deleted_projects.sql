-- Whose a project was that is gone: its log is kept, and only they may read it. No name, nothing of what was in it; the
-- row goes with the account. Projects that were deleted before this step have none: nobody knows whose they were.
CREATE TABLE deleted_projects (
    id    BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    owner BLOB NOT NULL REFERENCES accounts (id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX deleted_projects_by_owner ON deleted_projects (owner);
