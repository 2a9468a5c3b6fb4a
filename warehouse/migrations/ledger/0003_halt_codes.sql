-- Why a halt came (models/domain/halts.py has the codes), and the one symbol that it is for ('': all).
ALTER TABLE halts ADD COLUMN code TEXT NOT NULL DEFAULT 'OPERATOR';

ALTER TABLE halts ADD COLUMN symbol TEXT NOT NULL DEFAULT '';

-- Which code and which limits work a session's parents; a person lets others in by a resume.
CREATE TABLE versions_at_work (
    session TEXT NOT NULL,
    code TEXT NOT NULL,
    limits TEXT NOT NULL,
    noted_at TEXT NOT NULL,
    accepted_by TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (session, code, limits)
);
