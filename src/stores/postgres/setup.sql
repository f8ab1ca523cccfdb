-- The table of the PostgreSQL store, version {{version}}, and its functions (take.sql, update.sql). Running it again changes nothing.
-- One row per counter (take.sql tells what `state` is; times are ms since 1970), and one that tells the version. Rows change in place:
-- no index but the key's, room on each page for the next version of a row, and states are neither compressed nor moved elsewhere.

SELECT pg_advisory_xact_lock(hashtext('smart-ratelimit'), hashtext('{{name}}'));

DO $setup$
DECLARE
  v_version bigint;
BEGIN
  IF to_regclass('{{table}}') IS NULL THEN
    CREATE {{unlogged}} TABLE {{table}} (
      key text COLLATE "C" NOT NULL PRIMARY KEY,
      state bigint[] NOT NULL,
      expires_at bigint NOT NULL,
      updated_at bigint NOT NULL
    ) WITH (fillfactor = 50, toast_tuple_target = 8160, autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.5);
    ALTER TABLE {{table}} ALTER COLUMN state SET STORAGE EXTERNAL;
  END IF;
  -- No counter's key begins with a blank.
  SELECT t.state[1] INTO v_version FROM {{table}} t WHERE t.key = ' version';
  IF v_version > {{version}} THEN
    RAISE EXCEPTION 'table {{name}} is of version %, made by a newer release of smart-ratelimit', v_version USING ERRCODE = 'SR001';
  END IF;
  INSERT INTO {{table}} (key, state, expires_at, updated_at) VALUES (' version', '{ {{version}} }', 9007199254740991, 0)
    ON CONFLICT (key) DO UPDATE SET state = EXCLUDED.state;
  -- Only where one of the two was asked for.
  IF '{{persistence}}' <> '' AND (SELECT c.relpersistence FROM pg_class c WHERE c.oid = '{{table}}'::regclass) <> '{{persistence}}' THEN
    ALTER TABLE {{table}} SET {{logging}};
  END IF;
END
$setup$;

{{function}}

COMMENT ON FUNCTION {{take}}(text[], bigint[], bigint[], bigint[], bigint, text, text) IS '{{digest}}';
