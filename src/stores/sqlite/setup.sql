-- The table of the SQLite store, version 1. {table} stands for its name.
-- In:  nothing, or a table of an older version; running it again changes nothing.
-- Out: one row per counter (see record.ts for `state`; times are ms since 1970), and one that tells the version.
--      Keys are compared byte by byte. `expires_at` has no index: every decision would pay for it, and clean-ups walk the rows.
--      Rows keep their rowid: without it, counters of many entries take twice the time, and those of few gain nothing.

CREATE TABLE IF NOT EXISTS {table} (
  key TEXT COLLATE BINARY NOT NULL PRIMARY KEY,
  expires_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  state TEXT NOT NULL
) STRICT;

-- No counter's key begins with a blank.
INSERT INTO {table} (key, expires_at, updated_at, state)
VALUES (' version', 9007199254740991, 0, '1')
ON CONFLICT (key) DO UPDATE SET state = excluded.state;
