-- The order ledger. One text for SQLite and PostgreSQL.
-- Moments: TEXT, UTC, microseconds, fixed width, so that text order is time order.
-- Money: TEXT decimals, exact. Shares: BIGINT, positive; the side carries the sign.

CREATE TABLE parents (
    parent_id TEXT PRIMARY KEY,
    session TEXT NOT NULL,
    strategy TEXT NOT NULL,
    plan_no BIGINT NOT NULL,
    symbol TEXT NOT NULL,
    side TEXT NOT NULL CHECK (side IN ('BUY', 'SELL')),
    quantity BIGINT NOT NULL CHECK (quantity > 0),
    algo TEXT NOT NULL,
    start_at TEXT NOT NULL,
    end_at TEXT NOT NULL,
    decision_price TEXT NOT NULL,
    decided_at TEXT NOT NULL,
    model_version TEXT NOT NULL,
    limit_price TEXT,
    state TEXT NOT NULL CHECK (state IN ('NEW', 'WORKING', 'PAUSED', 'CANCELLING', 'FILLED',
        'CANCELLED', 'EXPIRED', 'FAILED', 'REJECTED')),
    reason TEXT NOT NULL DEFAULT ''
);

CREATE INDEX parents_session ON parents (session, strategy);

CREATE TABLE risk_checks (
    id BIGINT PRIMARY KEY,
    parent_id TEXT NOT NULL,
    plan_no BIGINT NOT NULL,
    at TEXT NOT NULL,
    check_name TEXT NOT NULL,
    passed INTEGER NOT NULL CHECK (passed IN (0, 1)),
    reason TEXT NOT NULL,
    numbers TEXT NOT NULL
);

CREATE INDEX risk_checks_parent ON risk_checks (parent_id, plan_no);

-- An order id belongs to one slice of one parent for ever.
CREATE TABLE order_ids (
    account TEXT NOT NULL,
    client_id BIGINT NOT NULL,
    order_id BIGINT NOT NULL,
    parent_id TEXT NOT NULL REFERENCES parents (parent_id),
    slice_no BIGINT NOT NULL,
    PRIMARY KEY (account, client_id, order_id)
);

-- executed: sum of current executions. gross: the same with the largest revision of each, so that
-- a bust does not look like a missing execution. reported: the broker's cumulative figure in order
-- statuses; what it has above gross was filled, though its executions have not come yet.
CREATE TABLE children (
    order_ref TEXT PRIMARY KEY,
    parent_id TEXT NOT NULL REFERENCES parents (parent_id),
    slice_no BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    account TEXT NOT NULL,
    client_id BIGINT NOT NULL,
    order_id BIGINT NOT NULL,
    perm_id BIGINT,
    symbol TEXT NOT NULL,
    side TEXT NOT NULL CHECK (side IN ('BUY', 'SELL')),
    quantity BIGINT NOT NULL CHECK (quantity > 0),
    limit_price TEXT,
    tif TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('INTENT', 'SENT', 'ACKED', 'PARTIAL', 'FILLED',
        'CANCELLED', 'REJECTED', 'UNKNOWN', 'NEVER_SENT')),
    executed BIGINT NOT NULL DEFAULT 0 CHECK (executed >= 0),
    gross BIGINT NOT NULL DEFAULT 0 CHECK (gross >= executed),
    reported BIGINT NOT NULL DEFAULT 0 CHECK (reported >= 0),
    reason TEXT NOT NULL DEFAULT '',
    committed_at TEXT NOT NULL,
    sent_at TEXT,
    UNIQUE (parent_id, slice_no, attempt),
    FOREIGN KEY (account, client_id, order_id)
        REFERENCES order_ids (account, client_id, order_id)
);

CREATE INDEX children_open ON children (account, state);

CREATE INDEX children_perm ON children (account, perm_id);

CREATE INDEX children_sent ON children (account, sent_at);

-- What each child can still cost its parent: all of it until proven dead, then what was filled.
CREATE VIEW child_exposures AS
SELECT order_ref, parent_id,
    CASE
        WHEN state NOT IN ('FILLED', 'CANCELLED', 'REJECTED', 'NEVER_SENT') AND quantity >= filled
            THEN quantity
        ELSE filled
    END AS exposure
FROM (
    SELECT order_ref, parent_id, state, quantity,
        executed + CASE WHEN reported > gross THEN reported - gross ELSE 0 END AS filled
    FROM children
) AS shown;

-- Every revision is kept; the highest of an exec_base is current, the others are superseded.
CREATE TABLE executions (
    exec_id TEXT PRIMARY KEY,
    exec_base TEXT NOT NULL,
    revision BIGINT NOT NULL,
    superseded INTEGER NOT NULL DEFAULT 0 CHECK (superseded IN (0, 1)),
    in_opening INTEGER NOT NULL DEFAULT 0 CHECK (in_opening IN (0, 1)),
    account TEXT NOT NULL,
    order_ref TEXT NOT NULL,
    symbol TEXT NOT NULL,
    side TEXT NOT NULL CHECK (side IN ('BUY', 'SELL')),
    quantity BIGINT NOT NULL CHECK (quantity >= 0),
    price TEXT NOT NULL,
    at TEXT NOT NULL,
    perm_id BIGINT NOT NULL,
    UNIQUE (exec_base, revision)
);

CREATE INDEX executions_account ON executions (account, superseded);

CREATE INDEX executions_order ON executions (order_ref, superseded);

CREATE TABLE commissions (
    exec_id TEXT PRIMARY KEY,
    exec_base TEXT NOT NULL,
    revision BIGINT NOT NULL,
    amount TEXT NOT NULL,
    currency TEXT NOT NULL,
    realized_pnl TEXT
);

CREATE INDEX commissions_base ON commissions (exec_base, revision);

CREATE TABLE accounts (
    account TEXT PRIMARY KEY,
    cash TEXT NOT NULL,
    opened_at TEXT NOT NULL
);

CREATE TABLE opening_positions (
    account TEXT NOT NULL REFERENCES accounts (account),
    symbol TEXT NOT NULL,
    quantity BIGINT NOT NULL,
    PRIMARY KEY (account, symbol)
);

CREATE TABLE account_snapshots (
    account TEXT NOT NULL,
    at TEXT NOT NULL,
    label TEXT NOT NULL,
    cash TEXT NOT NULL,
    net_liquidation TEXT NOT NULL,
    PRIMARY KEY (account, at, label)
);

CREATE TABLE broker_events (
    id BIGINT PRIMARY KEY,
    at TEXT NOT NULL,
    kind TEXT NOT NULL,
    order_ref TEXT NOT NULL,
    payload TEXT NOT NULL
);

CREATE INDEX broker_events_order ON broker_events (order_ref, id);

CREATE TABLE halts (
    id BIGINT PRIMARY KEY,
    reason TEXT NOT NULL,
    halted_by TEXT NOT NULL,
    halted_at TEXT NOT NULL,
    resume_reason TEXT,
    resumed_by TEXT,
    resumed_at TEXT
);

-- The token grows with every change of holder, so that a late writer can be told from the present one.
CREATE TABLE leases (
    name TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    pid BIGINT NOT NULL,
    host TEXT NOT NULL,
    token BIGINT NOT NULL,
    since TEXT NOT NULL,
    expires_at TEXT NOT NULL,
    released INTEGER NOT NULL DEFAULT 0 CHECK (released IN (0, 1))
);

CREATE TABLE model_manifests (
    model TEXT NOT NULL,
    version TEXT NOT NULL,
    seq BIGINT NOT NULL,
    run_id TEXT NOT NULL,
    metrics TEXT NOT NULL,
    recorded_at TEXT NOT NULL,
    PRIMARY KEY (model, version)
);

CREATE TABLE model_files (
    model TEXT NOT NULL,
    version TEXT NOT NULL,
    name TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    PRIMARY KEY (model, version, name),
    FOREIGN KEY (model, version) REFERENCES model_manifests (model, version)
);
