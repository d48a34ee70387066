-- Whether an upload's own bytes were hashed to its digest and are becoming its blob, or have. Only this lets it be
-- promoted again without its file: that a blob of this digest exists says nothing about who sent it.
ALTER TABLE uploads ADD COLUMN promoted INTEGER NOT NULL DEFAULT 0 CHECK (promoted IN (0, 1));
