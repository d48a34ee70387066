-- Teams and who is in them. The owner is a member, too: "in the team" is one question.

CREATE TABLE teams (
    id            BLOB    NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    owner         BLOB    NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    name          TEXT    NOT NULL,
    threshold     INTEGER NOT NULL CHECK (threshold BETWEEN 0 AND 250), -- members that open together; 0: none
    created_at_ms INTEGER NOT NULL,
    UNIQUE (owner, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE team_members (
    team        BLOB    NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    account     BLOB    NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    role        TEXT    NOT NULL CHECK (role IN ('owner', 'admin', 'member')),
    added_at_ms INTEGER NOT NULL,
    PRIMARY KEY (team, account)
) STRICT, WITHOUT ROWID;
CREATE INDEX team_members_by_account ON team_members (account);
