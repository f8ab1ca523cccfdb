-- The table of the MySQL and MariaDB store, version 1. {table} stands for its name.
-- In:  nothing, or a table of an older version; running it again changes nothing.
-- Out: one row per counter (see record.ts for `state`; times are ms since 1970), and one that tells the version.
--      Keys are compared byte by byte; beside a counter there may be rows of its key, a blank and the name of a writer (see ../update.ts).
--      `expires_at` has an index for clean-ups; it is written in whole minutes, so that it rarely moves.

CREATE TABLE IF NOT EXISTS {table} (
  `key` VARCHAR(300) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  state MEDIUMTEXT CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  expires_at BIGINT NOT NULL,
  updated_at BIGINT NOT NULL,
  PRIMARY KEY (`key`),
  KEY expires_at (expires_at)
) ENGINE = InnoDB;

-- No counter's key begins with a blank.
INSERT INTO {table} (`key`, state, expires_at, updated_at)
VALUES (' version', '1', 9007199254740991, 0)
ON DUPLICATE KEY UPDATE state = '1';
