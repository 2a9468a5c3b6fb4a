-- An order waits for every page that its intent changes. With INTEGER, as it stands, SQLite needs no
-- index beside the table to find a link by its number.
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
