-- An order waits for every page that its intent changes. A new intent has neither a permanent id nor
-- a moment of its sending, so these two indexes need not hold it before it has.

DROP INDEX children_perm;

CREATE INDEX children_perm ON children (account, perm_id) WHERE perm_id IS NOT NULL;

DROP INDEX children_sent;

CREATE INDEX children_sent ON children (account, sent_at) WHERE sent_at IS NOT NULL;
