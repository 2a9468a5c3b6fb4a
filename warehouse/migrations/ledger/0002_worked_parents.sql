-- What is noted of a parent while it is worked: the first note stays. Until now these were journal
-- events under the parent's id; their rows are carried over, and stay in the journal.

CREATE TABLE parent_schedules (
    parent_id TEXT PRIMARY KEY,
    slices BIGINT NOT NULL CHECK (slices > 0),
    noted_at TEXT NOT NULL
);

-- mid: USD a share, the benchmark prices of the cost analysis.
CREATE TABLE parent_mids (
    parent_id TEXT NOT NULL,
    moment TEXT NOT NULL CHECK (moment IN ('arrival', 'end')),
    mid TEXT NOT NULL,
    noted_at TEXT NOT NULL,
    PRIMARY KEY (parent_id, moment)
);

-- The payloads are JSON of one field in a fixed form, so that plain text functions read them alike
-- on SQLite and PostgreSQL.
INSERT INTO parent_schedules (parent_id, slices, noted_at)
SELECT order_ref, CAST(REPLACE(REPLACE(payload, '{"slices":', ''), '}', '') AS BIGINT), at
FROM broker_events
WHERE id IN (SELECT MIN(id) FROM broker_events WHERE kind = 'schedule' GROUP BY order_ref);

INSERT INTO parent_mids (parent_id, moment, mid, noted_at)
SELECT order_ref, kind, REPLACE(REPLACE(payload, '{"mid":"', ''), '"}', ''), at
FROM broker_events
WHERE id IN (
    SELECT MIN(id) FROM broker_events WHERE kind IN ('arrival', 'end') GROUP BY order_ref, kind
);
