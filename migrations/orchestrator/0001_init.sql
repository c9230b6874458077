-- The orchestrator's store. Never edited once released: a change is a new file.

-- One row: which state this is, and the newest fence counter that was ever granted.
CREATE TABLE orchestrator (
    id          INTEGER PRIMARY KEY CHECK (id = 1),
    state_uuid  TEXT NOT NULL,
    fence       INTEGER NOT NULL DEFAULT 0 CHECK (fence >= 0)
) STRICT;

-- Revisions of the configuration. Numbers are never used twice; a clean-up deletes the content
-- of old ones and keeps the row.
CREATE TABLE revisions (
    rev         INTEGER PRIMARY KEY CHECK (rev > 0),
    status      TEXT NOT NULL CHECK (status IN ('provisional', 'confirmed', 'reverted')),
    config_hash TEXT NOT NULL,
    config      TEXT,
    reason      TEXT NOT NULL,
    run         TEXT,
    at_ms       INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX at_most_one_provisional ON revisions (status) WHERE status = 'provisional';

-- What became of each request, by its idempotency key. Kept for ever: a key that could be
-- forgotten could be applied twice.
CREATE TABLE operations (
    key         TEXT PRIMARY KEY,
    fingerprint TEXT NOT NULL,
    kind        TEXT NOT NULL,
    rev         INTEGER NOT NULL REFERENCES revisions (rev),
    config_hash TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The audit chain.
CREATE TABLE audit (
    seq         INTEGER PRIMARY KEY CHECK (seq > 0),
    at_ms       INTEGER NOT NULL,
    kind        TEXT NOT NULL,
    run         TEXT,
    rev         INTEGER NOT NULL REFERENCES revisions (rev),
    config_hash TEXT NOT NULL,
    fence       INTEGER,
    key         TEXT,
    detail      TEXT NOT NULL,
    hash        TEXT NOT NULL
) STRICT;

CREATE TRIGGER audit_is_never_edited BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit chain only grows'); END;
CREATE TRIGGER audit_is_never_cut BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit chain only grows'); END;
CREATE TRIGGER revisions_are_never_cut BEFORE DELETE ON revisions
BEGIN SELECT RAISE(ABORT, 'revisions are never deleted'); END;

-- Results of health checks, bounded by number.
CREATE TABLE checks (
    id          INTEGER PRIMARY KEY,
    name        TEXT NOT NULL,
    status      TEXT NOT NULL CHECK (status IN ('healthy', 'unhealthy', 'unknown')),
    detail      TEXT NOT NULL,
    at_ms       INTEGER NOT NULL
) STRICT;

-- Times during which a check failed. `lasted_ms` grows with every failed check until `ended`.
CREATE TABLE incidents (
    id          INTEGER PRIMARY KEY,
    check_name  TEXT NOT NULL,
    detail      TEXT NOT NULL,
    began_ms    INTEGER NOT NULL,
    lasted_ms   INTEGER NOT NULL DEFAULT 0,
    ended       INTEGER NOT NULL DEFAULT 0 CHECK (ended IN (0, 1))
) STRICT;

CREATE UNIQUE INDEX at_most_one_open_incident ON incidents (check_name) WHERE ended = 0;

-- What self-healing did or would have done, bounded by number.
CREATE TABLE healing (
    id          INTEGER PRIMARY KEY,
    at_ms       INTEGER NOT NULL,
    action      TEXT NOT NULL,
    because     TEXT NOT NULL,
    performed   INTEGER NOT NULL CHECK (performed IN (0, 1))
) STRICT;

-- One row: how long health has been observed, how much of it with an incident, how many began,
-- and how many ended after how long altogether. Real milliseconds.
CREATE TABLE observed (
    id          INTEGER PRIMARY KEY CHECK (id = 1),
    total_ms    INTEGER NOT NULL DEFAULT 0,
    down_ms     INTEGER NOT NULL DEFAULT 0,
    failures    INTEGER NOT NULL DEFAULT 0,
    repairs     INTEGER NOT NULL DEFAULT 0,
    repair_ms   INTEGER NOT NULL DEFAULT 0
) STRICT;

INSERT INTO observed (id) VALUES (1);
