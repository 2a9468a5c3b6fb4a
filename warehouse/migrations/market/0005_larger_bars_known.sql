-- What was known of larger bars whose minutes a retention has dropped: a row for each state that a
-- bar has had since it ended, with the moment since when (UTC). timeframe: 5m, 15m, 1h, 1d.
CREATE TABLE larger_bars_known (
    timeframe VARCHAR NOT NULL,
    symbol VARCHAR NOT NULL,
    ts TIMESTAMP NOT NULL,
    session DATE NOT NULL,
    open DOUBLE NOT NULL,
    high DOUBLE NOT NULL,
    low DOUBLE NOT NULL,
    close DOUBLE NOT NULL,
    volume BIGINT NOT NULL,
    minutes INTEGER NOT NULL,
    known_at TIMESTAMP NOT NULL
);

-- Of minutes that were dropped before this table was there, all that is certain is that the larger
-- bars are known by now.
INSERT INTO larger_bars_known
SELECT large.timeframe, large.symbol, large.ts, large.session, large.open, large.high, large.low,
    large.close, large.volume, large.minutes, make_timestamp(epoch_us(now()))
FROM (
    SELECT '5m' AS timeframe, * FROM bars_5m
    UNION ALL SELECT '15m' AS timeframe, * FROM bars_15m
    UNION ALL SELECT '1h' AS timeframe, * FROM bars_1h
    UNION ALL SELECT '1d' AS timeframe, * FROM bars_session
) AS large
ANTI JOIN (SELECT DISTINCT symbol, session FROM bars_minute) AS kept
    ON kept.symbol = large.symbol AND kept.session = large.session;
