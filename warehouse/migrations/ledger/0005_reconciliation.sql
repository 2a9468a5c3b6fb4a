-- What reconciliations found, what persons decided about it, and the corrections: rows are added,
-- fills are never edited.

-- resolution: recorded (noting it was all it needed), accepted (a person took the correction), gone
-- (a later look did not find it any more).
CREATE TABLE differences (
    id BIGINT PRIMARY KEY,
    account TEXT NOT NULL,
    kind TEXT NOT NULL,
    subject TEXT NOT NULL,
    symbol TEXT NOT NULL,
    ledger_value TEXT NOT NULL,
    broker_value TEXT NOT NULL,
    unit TEXT NOT NULL,
    proposal TEXT NOT NULL,
    blocks INTEGER NOT NULL CHECK (blocks IN (0, 1)),
    found_at TEXT NOT NULL,
    resolution TEXT CHECK (resolution IN ('recorded', 'accepted', 'gone')),
    resolved_at TEXT,
    resolved_by TEXT,
    resolve_reason TEXT
);

CREATE INDEX differences_open ON differences (account, resolved_at);

-- Which symbols take no new order, and why.
CREATE VIEW blocked_symbols AS
SELECT account, symbol, id, kind, subject, ledger_value, broker_value, unit, found_at
FROM differences
WHERE blocks = 1 AND resolved_at IS NULL;

CREATE TABLE position_adjustments (
    id BIGINT PRIMARY KEY,
    account TEXT NOT NULL,
    symbol TEXT NOT NULL,
    quantity BIGINT NOT NULL CHECK (quantity <> 0),
    difference_id BIGINT NOT NULL REFERENCES differences (id),
    reason TEXT NOT NULL,
    accepted_by TEXT NOT NULL,
    at TEXT NOT NULL
);

CREATE INDEX position_adjustments_account ON position_adjustments (account, symbol);

CREATE TABLE cash_adjustments (
    id BIGINT PRIMARY KEY,
    account TEXT NOT NULL,
    amount TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('dividend', 'interest', 'deposit', 'withdrawal', 'fee',
        'trade', 'other')),
    difference_id BIGINT NOT NULL REFERENCES differences (id),
    reason TEXT NOT NULL,
    accepted_by TEXT NOT NULL,
    at TEXT NOT NULL
);

CREATE INDEX cash_adjustments_account ON cash_adjustments (account);

-- Orders that were placed outside: seen, attributed, never touched.
CREATE TABLE external_orders (
    account TEXT NOT NULL,
    perm_id BIGINT NOT NULL,
    client_id BIGINT NOT NULL,
    order_id BIGINT NOT NULL,
    order_ref TEXT NOT NULL,
    symbol TEXT NOT NULL,
    remaining BIGINT NOT NULL,
    origin TEXT NOT NULL,
    first_seen_at TEXT NOT NULL,
    PRIMARY KEY (account, perm_id)
);

-- What a person decided about a child that no evidence could settle.
CREATE TABLE settlements (
    id BIGINT PRIMARY KEY,
    order_ref TEXT NOT NULL REFERENCES children (order_ref),
    verdict TEXT NOT NULL CHECK (verdict IN ('never-sent', 'cancelled', 'filled')),
    quantity BIGINT NOT NULL CHECK (quantity >= 0),
    price TEXT,
    evidence TEXT NOT NULL,
    reason TEXT NOT NULL,
    settled_by TEXT NOT NULL,
    at TEXT NOT NULL
);

CREATE INDEX settlements_order ON settlements (order_ref);
