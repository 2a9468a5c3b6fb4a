-- Seals of what is written once and never changed: each link holds the digest of one row, and its own
-- digest covers the link before it. A row that was altered, removed or slipped in is found and named
-- by `robo ledger check`. Rows older than this step are sealed when it is applied.

CREATE TABLE chain (
    seq BIGINT PRIMARY KEY,
    table_name TEXT NOT NULL,
    row_key TEXT NOT NULL,
    row_digest TEXT NOT NULL,
    digest TEXT NOT NULL
);
