-- The ledger: entries that only grow, and the tables derived from them.
-- docs/ledger-format.md says what each hash covers.

-- One row: who this ledger is, and its newest entry.
CREATE TABLE ledger (
    one       INTEGER PRIMARY KEY CHECK (one = 1),
    -- 32 hex digits; the genesis hash is made from it.
    uuid      TEXT NOT NULL,
    head_seq  INTEGER NOT NULL,
    head_hash BLOB NOT NULL CHECK (length(head_hash) = 32)
) STRICT;

CREATE TRIGGER ledger_head_moves_by_one BEFORE UPDATE ON ledger
WHEN NEW.one <> OLD.one OR NEW.uuid <> OLD.uuid OR NEW.head_seq <> OLD.head_seq + 1
BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only: its head moves by one entry at a time');
END;

CREATE TRIGGER ledger_is_never_deleted BEFORE DELETE ON ledger
BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only: its head is never deleted');
END;

-- Which of these files were applied, with the SHA-256 of their text.
CREATE TABLE migration (
    version  INTEGER PRIMARY KEY,
    checksum TEXT NOT NULL
) STRICT;

CREATE TABLE entry (
    seq   INTEGER PRIMARY KEY CHECK (seq >= 1),
    -- Milliseconds since the Unix epoch, for display.
    at_ms INTEGER NOT NULL,
    run   TEXT,
    kind  TEXT NOT NULL,
    -- The fact as canonical JSON: no white space, object keys in byte order.
    body  TEXT NOT NULL,
    hash  BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

CREATE INDEX entry_run ON entry (run, seq) WHERE run IS NOT NULL;

CREATE TRIGGER entry_follows_the_head BEFORE INSERT ON entry
WHEN NEW.seq <> (SELECT head_seq + 1 FROM ledger)
BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only: an entry follows the head');
END;

CREATE TRIGGER entry_is_never_changed BEFORE UPDATE ON entry
BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only: an entry is never changed');
END;

CREATE TRIGGER entry_is_never_deleted BEFORE DELETE ON entry
BEGIN
    SELECT RAISE(ABORT, 'the ledger is append-only: an entry is never deleted');
END;

-- From here on: derived from the entries, and rebuilt from them at any time.

CREATE TABLE run (
    run          TEXT PRIMARY KEY,
    kind         TEXT NOT NULL,
    plan         TEXT NOT NULL,
    phase        TEXT NOT NULL,
    phase_number INTEGER NOT NULL,
    begun_ms     INTEGER NOT NULL,
    ended_ms     INTEGER,
    outcome      TEXT,
    summary      TEXT,
    user         TEXT NOT NULL,
    host         TEXT NOT NULL,
    reason       TEXT,
    first_seq    INTEGER NOT NULL,
    last_seq     INTEGER NOT NULL,
    -- The orchestrator that it acts on.
    state_uuid   TEXT NOT NULL,
    -- 1 from the moment on that it undoes what it did.
    undoing      INTEGER NOT NULL
) STRICT;

CREATE INDEX run_order ON run (first_seq);
CREATE INDEX run_open ON run (first_seq) WHERE ended_ms IS NULL;
CREATE INDEX run_phase ON run (plan, phase, kind, first_seq);

-- The phases that a run acts on: its own, or those that a rollback undoes.
CREATE TABLE run_scope (
    run   TEXT NOT NULL,
    phase TEXT NOT NULL,
    PRIMARY KEY (run, phase)
) STRICT, WITHOUT ROWID;

CREATE TABLE phase (
    plan       TEXT NOT NULL,
    phase      TEXT NOT NULL,
    number     INTEGER NOT NULL,
    title      TEXT NOT NULL,
    status     TEXT NOT NULL,
    -- The run that brought it here, and the one that last migrated it.
    run        TEXT NOT NULL,
    migrated   TEXT NOT NULL,
    phase_hash TEXT NOT NULL,
    begun_ms   INTEGER NOT NULL,
    ended_ms   INTEGER,
    PRIMARY KEY (plan, phase)
) STRICT, WITHOUT ROWID;

CREATE TABLE step (
    run           TEXT NOT NULL,
    step          TEXT NOT NULL,
    part          INTEGER NOT NULL,
    parts         INTEGER NOT NULL,
    status        TEXT NOT NULL,
    -- 1 for a step of the configuration, 0 for one outside it.
    configuration INTEGER NOT NULL,
    rev           INTEGER,
    detail        TEXT,
    begun_ms      INTEGER NOT NULL,
    ended_ms      INTEGER,
    -- The entry that it began with: the order in which steps are shown.
    first_seq     INTEGER NOT NULL,
    PRIMARY KEY (run, step, part)
) STRICT, WITHOUT ROWID;

CREATE TABLE backup (
    backup        TEXT PRIMARY KEY,
    run           TEXT,
    at_ms         INTEGER NOT NULL,
    path          TEXT NOT NULL,
    bytes         INTEGER NOT NULL,
    manifest_hash TEXT NOT NULL,
    seq           INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE milestone (
    plan       TEXT NOT NULL,
    milestone  TEXT NOT NULL,
    title      TEXT NOT NULL,
    run        TEXT NOT NULL,
    reached_ms INTEGER NOT NULL,
    seq        INTEGER NOT NULL,
    PRIMARY KEY (plan, milestone)
) STRICT, WITHOUT ROWID;

CREATE TABLE criterion (
    plan      TEXT NOT NULL,
    criterion TEXT NOT NULL,
    title     TEXT NOT NULL,
    category  TEXT NOT NULL,
    target    TEXT NOT NULL,
    actual    TEXT NOT NULL,
    -- JSON, with the sentence that explains it.
    verdict   TEXT NOT NULL,
    run       TEXT,
    at_ms     INTEGER NOT NULL,
    PRIMARY KEY (plan, criterion)
) STRICT, WITHOUT ROWID;

CREATE TABLE issue (
    seq   INTEGER PRIMARY KEY,
    run   TEXT NOT NULL,
    plan  TEXT NOT NULL,
    phase TEXT NOT NULL,
    kind  TEXT NOT NULL,
    what  TEXT NOT NULL,
    at_ms INTEGER NOT NULL
) STRICT;

CREATE INDEX issue_plan ON issue (plan, seq);

-- What was last seen of each orchestrator; presented to it, so that it notices when it was
-- restored to an older state.
CREATE TABLE orchestrator (
    state_uuid  TEXT PRIMARY KEY,
    url         TEXT NOT NULL,
    -- The largest counter of a fence of ours.
    fence       INTEGER NOT NULL,
    anchor_seq  INTEGER NOT NULL,
    anchor_hash TEXT NOT NULL
) STRICT, WITHOUT ROWID;
