-- The inbox: events that were stored before they were acknowledged. Never edited once released: a
-- change is a new file.

-- Events that nobody has handled yet. An event that was handled is deleted.
CREATE TABLE events (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    source      TEXT NOT NULL,
    delivery    TEXT,
    body_hash   TEXT NOT NULL,
    target      TEXT NOT NULL,
    headers     TEXT NOT NULL,
    body        BLOB NOT NULL,
    received_ms INTEGER NOT NULL,
    -- Since when it waits: received, or replayed.
    since_ms    INTEGER NOT NULL,
    state       TEXT NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'dead')),
    -- Attempts so far, and how many of them a handler answered.
    attempts    INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    answered    INTEGER NOT NULL DEFAULT 0 CHECK (answered >= 0),
    due_ms      INTEGER NOT NULL,
    why         TEXT NOT NULL DEFAULT ''
) STRICT;

-- Whoever counts or looks for what is due reads these, and no body.
CREATE INDEX pending ON events (due_ms, since_ms) WHERE state = 'pending';
CREATE INDEX dead ON events (id) WHERE state = 'dead';

-- Deliveries that were acknowledged, handled or not, for as long as a platform may send them again.
CREATE TABLE deliveries (
    source      TEXT NOT NULL,
    delivery    TEXT NOT NULL,
    body_hash   TEXT NOT NULL,
    at_ms       INTEGER NOT NULL,
    PRIMARY KEY (source, delivery, body_hash)
) STRICT, WITHOUT ROWID;

CREATE INDEX remembered ON deliveries (at_ms);
