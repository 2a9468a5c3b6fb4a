-- What a recorded split made of a position: `new_shares` for every `old_shares` held at `effective_at`,
-- the opening of its ex-date. The adjustment beside it has the shares that came; this keeps their cost.
CREATE TABLE booked_splits (
    adjustment_id BIGINT PRIMARY KEY REFERENCES position_adjustments (id),
    new_shares BIGINT NOT NULL CHECK (new_shares > 0),
    old_shares BIGINT NOT NULL CHECK (old_shares > 0),
    effective_at TEXT NOT NULL
);
