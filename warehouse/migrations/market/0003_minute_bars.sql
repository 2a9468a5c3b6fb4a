-- One-minute bars and what is built from them. No table here has a key: an index of a key took
-- more room than the bars and most of the time of a merge. The merge, which is the only writer,
-- keeps (symbol, ts) unique, and `robo warehouse check` proves it.

-- ts is the start of the minute in UTC; session is the New York date, a session of XNYS.
CREATE TABLE bars_minute (
    symbol VARCHAR NOT NULL,
    ts TIMESTAMP NOT NULL,
    session DATE NOT NULL,
    open DOUBLE NOT NULL,
    high DOUBLE NOT NULL,
    low DOUBLE NOT NULL,
    close DOUBLE NOT NULL,
    volume BIGINT NOT NULL,
    source VARCHAR NOT NULL,
    known_at TIMESTAMP NOT NULL
);

-- Rows as they were before a revision replaced them.
CREATE TABLE bars_minute_history (
    symbol VARCHAR NOT NULL,
    ts TIMESTAMP NOT NULL,
    session DATE NOT NULL,
    open DOUBLE NOT NULL,
    high DOUBLE NOT NULL,
    low DOUBLE NOT NULL,
    close DOUBLE NOT NULL,
    volume BIGINT NOT NULL,
    source VARCHAR NOT NULL,
    known_at TIMESTAMP NOT NULL,
    replaced_at TIMESTAMP NOT NULL
);

-- Built from bars_minute, regular hours only, one table a timeframe. minutes: how many bars of one
-- minute are in it. bars_session has one row a session, with ts the opening.
CREATE TABLE bars_5m (
    symbol VARCHAR NOT NULL,
    ts TIMESTAMP NOT NULL,
    session DATE NOT NULL,
    open DOUBLE NOT NULL,
    high DOUBLE NOT NULL,
    low DOUBLE NOT NULL,
    close DOUBLE NOT NULL,
    volume BIGINT NOT NULL,
    minutes INTEGER NOT NULL
);

CREATE TABLE bars_15m (
    symbol VARCHAR NOT NULL,
    ts TIMESTAMP NOT NULL,
    session DATE NOT NULL,
    open DOUBLE NOT NULL,
    high DOUBLE NOT NULL,
    low DOUBLE NOT NULL,
    close DOUBLE NOT NULL,
    volume BIGINT NOT NULL,
    minutes INTEGER NOT NULL
);

CREATE TABLE bars_1h (
    symbol VARCHAR NOT NULL,
    ts TIMESTAMP NOT NULL,
    session DATE NOT NULL,
    open DOUBLE NOT NULL,
    high DOUBLE NOT NULL,
    low DOUBLE NOT NULL,
    close DOUBLE NOT NULL,
    volume BIGINT NOT NULL,
    minutes INTEGER NOT NULL
);

CREATE TABLE bars_session (
    symbol VARCHAR NOT NULL,
    ts TIMESTAMP NOT NULL,
    session DATE NOT NULL,
    open DOUBLE NOT NULL,
    high DOUBLE NOT NULL,
    low DOUBLE NOT NULL,
    close DOUBLE NOT NULL,
    volume BIGINT NOT NULL,
    minutes INTEGER NOT NULL
);
