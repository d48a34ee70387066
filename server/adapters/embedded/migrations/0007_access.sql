-- Who may do what in a project besides its owner: shares with teams, signed access lists, parts of keyrings. What an account
-- may do follows from the newest list, the shares and the memberships as they are. docs/data-model.md.

-- Number of the newest list, 0 for none, and the newest list that took something from somebody.
ALTER TABLE projects ADD COLUMN access_list INTEGER NOT NULL DEFAULT 0 CHECK (access_list >= 0);
ALTER TABLE projects ADD COLUMN access_floor INTEGER NOT NULL DEFAULT 0 CHECK (access_floor >= 0);

CREATE TABLE shares (
    project BLOB    NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    team    BLOB    NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    actions INTEGER NOT NULL CHECK (actions > 0),
    author  BLOB    NOT NULL CHECK (length(author) = 16),
    at_ms   INTEGER NOT NULL,
    PRIMARY KEY (project, team)
) STRICT, WITHOUT ROWID;
CREATE INDEX shares_by_team ON shares (team);

-- Every list, as it was signed.
CREATE TABLE access_lists (
    project BLOB    NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    number  INTEGER NOT NULL CHECK (number >= 1),
    list    BLOB    NOT NULL,
    PRIMARY KEY (project, number)
) STRICT;

-- What the newest list of a project gives to accounts. A team may be gone: then its entries give nothing.
CREATE TABLE access_entries (
    project BLOB    NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    account BLOB    NOT NULL CHECK (length(account) = 16),
    team    BLOB    NOT NULL CHECK (length(team) = 16),
    actions INTEGER NOT NULL CHECK (actions > 0),
    PRIMARY KEY (project, account, team)
) STRICT, WITHOUT ROWID;
CREATE INDEX access_entries_by_account ON access_entries (account, project);

-- The list that each epoch's keyring, and the current epoch, was made for.
ALTER TABLE keyrings ADD COLUMN access_list INTEGER NOT NULL DEFAULT 0 CHECK (access_list >= 0);
ALTER TABLE environments ADD COLUMN access_list INTEGER NOT NULL DEFAULT 0 CHECK (access_list >= 0);

-- An epoch's key wrapped for one more principal: kind (1 an account, 2 an API key) and id. `principal_key` is the digest of
-- the keys that it was wrapped for.
CREATE TABLE keyring_parts (
    environment   BLOB    NOT NULL,
    epoch         INTEGER NOT NULL,
    principal     BLOB    NOT NULL CHECK (length(principal) = 17),
    principal_key BLOB    NOT NULL CHECK (length(principal_key) = 32),
    file          BLOB    NOT NULL,
    seal          BLOB    NOT NULL,
    access_list   INTEGER NOT NULL CHECK (access_list >= 0),
    PRIMARY KEY (environment, epoch, principal),
    FOREIGN KEY (environment, epoch) REFERENCES keyrings (environment, epoch) ON DELETE CASCADE
) STRICT;
