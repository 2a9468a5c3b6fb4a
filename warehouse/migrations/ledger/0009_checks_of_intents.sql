-- An order waits for every page that its intent changes.

-- What let an intent pass its checks, in the intent's own row and under its digest: a JSON list, NULL
-- where nothing was checked or the child is older (then an event of kind 'checks' has it).
ALTER TABLE children ADD COLUMN checks TEXT;

-- INTEGER as it stands, and SQLite needs no index beside the table to find a link by its number.
CREATE TABLE links (
    seq INTEGER PRIMARY KEY,
    table_name TEXT NOT NULL,
    row_key TEXT NOT NULL,
    row_digest TEXT NOT NULL,
    digest TEXT NOT NULL
);

INSERT INTO links (seq, table_name, row_key, row_digest, digest)
SELECT seq, table_name, row_key, row_digest, digest FROM chain ORDER BY seq;

DROP TABLE chain;

ALTER TABLE links RENAME TO chain;
