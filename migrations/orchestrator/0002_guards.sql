-- The phase whose guards are armed: one row at most. It depends on no other row, so that a breach
-- can bring the target back whatever became of the revision it was taken from.
CREATE TABLE armed (
    id          INTEGER PRIMARY KEY CHECK (id = 1),
    run         TEXT NOT NULL,
    plan        TEXT NOT NULL,
    phase       TEXT NOT NULL,
    target_rev  INTEGER NOT NULL CHECK (target_rev > 0),
    target_hash TEXT NOT NULL,
    target      TEXT NOT NULL,
    guards      TEXT NOT NULL,
    record      TEXT NOT NULL,
    tripped     TEXT,
    asked       TEXT
) STRICT;
