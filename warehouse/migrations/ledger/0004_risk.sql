-- Versions of the risk limits, what a plan knew of each symbol, disabled symbols and strategies,
-- and orders that rest at the broker: stops, and groups of which one cancels the others.

CREATE TABLE limits_versions (
    version BIGINT PRIMARY KEY,
    content_hash TEXT NOT NULL,
    content TEXT NOT NULL,
    changed_by TEXT NOT NULL,
    changed_at TEXT NOT NULL,
    source TEXT NOT NULL
);

ALTER TABLE parents ADD COLUMN limits_version BIGINT;

ALTER TABLE risk_checks ADD COLUMN limits_version BIGINT;

-- The child that a verdict before a send was about; empty for verdicts at plan time.
ALTER TABLE risk_checks ADD COLUMN order_ref TEXT NOT NULL DEFAULT '';

-- forgiven: refusals of that session by the broker that were there when it was enabled again.
CREATE TABLE disablements (
    id BIGINT PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('symbol', 'strategy')),
    name TEXT NOT NULL,
    reason TEXT NOT NULL,
    disabled_by TEXT NOT NULL,
    disabled_at TEXT NOT NULL,
    session TEXT NOT NULL,
    enable_reason TEXT,
    enabled_by TEXT,
    enabled_at TEXT,
    forgiven BIGINT NOT NULL DEFAULT 0
);

-- adv in shares, close and atr in USD; NULL where the history was too short to tell.
CREATE TABLE symbol_facts (
    session TEXT NOT NULL,
    symbol TEXT NOT NULL,
    close TEXT NOT NULL,
    adv TEXT,
    atr TEXT,
    regime TEXT,
    noted_at TEXT NOT NULL,
    PRIMARY KEY (session, symbol)
);

ALTER TABLE children ADD COLUMN kind TEXT NOT NULL DEFAULT 'LMT';

ALTER TABLE children ADD COLUMN stop_price TEXT;

ALTER TABLE children ADD COLUMN oca_group TEXT NOT NULL DEFAULT '';

-- What a parent's children can still cost it. Of a one-cancels-all group only one can fill, so it
-- counts once: its largest living order, or what it has filled if that is more.
CREATE VIEW parent_exposures AS
SELECT parent_id, SUM(CASE WHEN alive > filled THEN alive ELSE filled END) AS exposure
FROM (
    SELECT parent_id, grouped, MAX(alive) AS alive, SUM(filled) AS filled
    FROM (
        SELECT parent_id,
            CASE WHEN oca_group = '' THEN order_ref ELSE oca_group END AS grouped,
            CASE WHEN state IN ('FILLED', 'CANCELLED', 'REJECTED', 'NEVER_SENT') THEN 0
                ELSE quantity END AS alive,
            executed + CASE WHEN reported > gross THEN reported - gross ELSE 0 END AS filled
        FROM children
    ) AS shown
    GROUP BY parent_id, grouped
) AS counted
GROUP BY parent_id;
