-- What is traded, under which tickers and when; what was done to its shares; bars of five seconds;
-- and which windows of the broker's history are still to be fetched. Moments are TIMESTAMP in UTC.
-- `symbol` is everywhere the instrument's stable text id, normally its present ticker.
-- An interval is [valid_from, valid_to); an open valid_to is 9999-12-31.
-- A row that is replaced or withdrawn goes to <table>_history with the moment when that was learnt.

CREATE TABLE instruments (
    symbol VARCHAR PRIMARY KEY,
    con_id BIGINT,
    name VARCHAR NOT NULL,
    primary_exchange VARCHAR NOT NULL,
    currency VARCHAR NOT NULL,
    listed DATE,
    delisted DATE,
    source VARCHAR NOT NULL,
    known_at TIMESTAMP NOT NULL
);

CREATE TABLE instruments_history (
    symbol VARCHAR NOT NULL,
    con_id BIGINT,
    name VARCHAR NOT NULL,
    primary_exchange VARCHAR NOT NULL,
    currency VARCHAR NOT NULL,
    listed DATE,
    delisted DATE,
    source VARCHAR NOT NULL,
    known_at TIMESTAMP NOT NULL,
    replaced_at TIMESTAMP NOT NULL
);

-- From this price (USD) on, prices are multiples of the increment (USD).
CREATE TABLE tick_rules (
    symbol VARCHAR NOT NULL,
    from_price DECIMAL(24, 8) NOT NULL,
    increment DECIMAL(24, 8) NOT NULL,
    source VARCHAR NOT NULL,
    known_at TIMESTAMP NOT NULL,
    PRIMARY KEY (symbol, from_price)
);

CREATE TABLE tick_rules_history (
    symbol VARCHAR NOT NULL,
    from_price DECIMAL(24, 8) NOT NULL,
    increment DECIMAL(24, 8) NOT NULL,
    source VARCHAR NOT NULL,
    known_at TIMESTAMP NOT NULL,
    replaced_at TIMESTAMP NOT NULL
);

CREATE TABLE instrument_symbols (
    instrument VARCHAR NOT NULL,
    symbol VARCHAR NOT NULL,
    valid_from DATE NOT NULL,
    valid_to DATE NOT NULL,
    source VARCHAR NOT NULL,
    known_at TIMESTAMP NOT NULL,
    PRIMARY KEY (instrument, symbol, valid_from)
);

CREATE TABLE instrument_symbols_history (
    instrument VARCHAR NOT NULL,
    symbol VARCHAR NOT NULL,
    valid_from DATE NOT NULL,
    valid_to DATE NOT NULL,
    source VARCHAR NOT NULL,
    known_at TIMESTAMP NOT NULL,
    replaced_at TIMESTAMP NOT NULL
);

CREATE TABLE universe_members (
    universe VARCHAR NOT NULL,
    symbol VARCHAR NOT NULL,
    valid_from DATE NOT NULL,
    valid_to DATE NOT NULL,
    source VARCHAR NOT NULL,
    known_at TIMESTAMP NOT NULL,
    PRIMARY KEY (universe, symbol, valid_from)
);

CREATE TABLE universe_members_history (
    universe VARCHAR NOT NULL,
    symbol VARCHAR NOT NULL,
    valid_from DATE NOT NULL,
    valid_to DATE NOT NULL,
    source VARCHAR NOT NULL,
    known_at TIMESTAMP NOT NULL,
    replaced_at TIMESTAMP NOT NULL
);

-- A split's value is new shares for one old share, a dividend's is USD a share of the day before.
CREATE TABLE corporate_actions (
    symbol VARCHAR NOT NULL,
    ex_date DATE NOT NULL,
    kind VARCHAR NOT NULL,
    value DOUBLE NOT NULL,
    source VARCHAR NOT NULL,
    known_at TIMESTAMP NOT NULL,
    PRIMARY KEY (symbol, ex_date, kind)
);

CREATE TABLE corporate_actions_history (
    symbol VARCHAR NOT NULL,
    ex_date DATE NOT NULL,
    kind VARCHAR NOT NULL,
    value DOUBLE NOT NULL,
    source VARCHAR NOT NULL,
    known_at TIMESTAMP NOT NULL,
    replaced_at TIMESTAMP NOT NULL
);

-- Bars that a source had adjusted when it gave them: splits up to this date are in their prices.
CREATE TABLE price_bases (
    symbol VARCHAR NOT NULL,
    bar_source VARCHAR NOT NULL,
    splits_through DATE NOT NULL,
    source VARCHAR NOT NULL,
    known_at TIMESTAMP NOT NULL,
    PRIMARY KEY (symbol, bar_source)
);

CREATE TABLE price_bases_history (
    symbol VARCHAR NOT NULL,
    bar_source VARCHAR NOT NULL,
    splits_through DATE NOT NULL,
    source VARCHAR NOT NULL,
    known_at TIMESTAMP NOT NULL,
    replaced_at TIMESTAMP NOT NULL
);

CREATE TABLE bars_5s (
    symbol VARCHAR NOT NULL,
    ts TIMESTAMP NOT NULL,
    open DOUBLE NOT NULL,
    high DOUBLE NOT NULL,
    low DOUBLE NOT NULL,
    close DOUBLE NOT NULL,
    volume BIGINT NOT NULL,
    source VARCHAR NOT NULL,
    known_at TIMESTAMP NOT NULL,
    PRIMARY KEY (symbol, ts)
);

CREATE TABLE bars_5s_history (
    symbol VARCHAR NOT NULL,
    ts TIMESTAMP NOT NULL,
    open DOUBLE NOT NULL,
    high DOUBLE NOT NULL,
    low DOUBLE NOT NULL,
    close DOUBLE NOT NULL,
    volume BIGINT NOT NULL,
    source VARCHAR NOT NULL,
    known_at TIMESTAMP NOT NULL,
    replaced_at TIMESTAMP NOT NULL
);

-- One request of history: open until its bars are merged (done), or the broker has none (empty).
CREATE TABLE history_windows (
    symbol VARCHAR NOT NULL,
    bar_size VARCHAR NOT NULL,
    first_session DATE NOT NULL,
    last_session DATE NOT NULL,
    state VARCHAR NOT NULL,
    attempts INTEGER NOT NULL,
    bars BIGINT NOT NULL,
    message VARCHAR NOT NULL,
    changed_at TIMESTAMP NOT NULL,
    PRIMARY KEY (symbol, bar_size, first_session)
);
