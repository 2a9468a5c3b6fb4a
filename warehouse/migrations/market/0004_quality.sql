-- Rows that were refused, with the reason, and how good each symbol's days are.

-- `moment` is the row's own time: the UTC start of a bar, or midnight of its session date. `content`
-- is the row as JSON. Released rows stay, so that the same row is not refused a second time.
CREATE TABLE quarantine (
    id VARCHAR PRIMARY KEY,
    table_name VARCHAR NOT NULL,
    symbol VARCHAR NOT NULL,
    moment TIMESTAMP,
    content VARCHAR NOT NULL,
    expectation VARCHAR NOT NULL,
    reason VARCHAR NOT NULL,
    source VARCHAR NOT NULL,
    run_id VARCHAR NOT NULL,
    refused_at TIMESTAMP NOT NULL,
    released_at TIMESTAMP,
    released_by VARCHAR,
    release_reason VARCHAR
);

-- score = 100 x (accepted - warned / 2) / greatest(expected, received), counted in rows.
CREATE TABLE quality_scores (
    table_name VARCHAR NOT NULL,
    symbol VARCHAR NOT NULL,
    session DATE NOT NULL,
    score DOUBLE NOT NULL,
    expected BIGINT NOT NULL,
    received BIGINT NOT NULL,
    accepted BIGINT NOT NULL,
    warned BIGINT NOT NULL,
    run_id VARCHAR NOT NULL,
    scored_at TIMESTAMP NOT NULL,
    PRIMARY KEY (table_name, symbol, session)
);
