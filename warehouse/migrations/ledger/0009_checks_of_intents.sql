-- What let an intent pass its checks, in the intent's own row and under its digest: a JSON list, NULL
-- where nothing was checked or the child is older (then an event of kind 'checks' has it).

ALTER TABLE children ADD COLUMN checks TEXT;
