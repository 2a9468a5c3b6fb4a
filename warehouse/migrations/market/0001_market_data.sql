-- Market data and what research derives from it. Moments are TIMESTAMP in UTC.

CREATE TABLE bars_daily (
    symbol VARCHAR NOT NULL,
    session DATE NOT NULL,
    open DOUBLE NOT NULL,
    high DOUBLE NOT NULL,
    low DOUBLE NOT NULL,
    close DOUBLE NOT NULL,
    volume BIGINT NOT NULL,
    source VARCHAR NOT NULL,
    known_at TIMESTAMP NOT NULL,
    PRIMARY KEY (symbol, session)
);

-- Rows as they were before a revision replaced them.
CREATE TABLE bars_daily_history (
    symbol VARCHAR NOT NULL,
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

CREATE TABLE quality_results (
    run_id VARCHAR NOT NULL,
    table_name VARCHAR NOT NULL,
    symbol VARCHAR NOT NULL,
    expectation VARCHAR NOT NULL,
    passed BOOLEAN NOT NULL,
    observed VARCHAR NOT NULL,
    checked_at TIMESTAMP NOT NULL,
    PRIMARY KEY (run_id, table_name, symbol, expectation)
);

CREATE TABLE signals (
    session DATE NOT NULL,
    symbol VARCHAR NOT NULL,
    model_version VARCHAR NOT NULL,
    score DOUBLE NOT NULL,
    made_at TIMESTAMP NOT NULL,
    PRIMARY KEY (session, model_version, symbol)
);

CREATE TABLE targets (
    session DATE NOT NULL,
    strategy VARCHAR NOT NULL,
    symbol VARCHAR NOT NULL,
    weight DOUBLE NOT NULL,
    shares BIGINT NOT NULL,
    price DECIMAL(24, 8) NOT NULL,
    made_at TIMESTAMP NOT NULL,
    PRIMARY KEY (session, strategy, symbol)
);

-- NULL is not known (a commission that was not reported, a parent without a fill), never zero.
CREATE TABLE tca (
    session DATE NOT NULL,
    parent_id VARCHAR PRIMARY KEY,
    symbol VARCHAR NOT NULL,
    side VARCHAR NOT NULL,
    target BIGINT NOT NULL,
    filled BIGINT NOT NULL,
    avg_price DECIMAL(24, 8),
    arrival_price DECIMAL(24, 8),
    decision_price DECIMAL(24, 8) NOT NULL,
    shortfall_bps DOUBLE,
    shortfall_usd DECIMAL(24, 8),
    commission_usd DECIMAL(24, 8),
    measured_at TIMESTAMP NOT NULL
);
