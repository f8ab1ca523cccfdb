-- Writes a counter that was changed elsewhere, if it still is what was read, and notes the entry under which that was done.
-- p_old NULL: there was none · p_mark NULL: without an entry. The counter first, as everybody takes rows in the order of their keys.
-- Out: whether it was written. Error SR002: the entry has been made already, and nothing is changed. Next: driver.ts.
CREATE OR REPLACE FUNCTION {{update}}(
  p_key text, p_old bigint[], p_new bigint[], p_expires bigint, p_now bigint, p_mark text, p_sequence bigint, p_wait text, p_commit text
) RETURNS boolean LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET enable_seqscan = off AS $update$
BEGIN
  PERFORM set_config('lock_timeout', p_wait, true), set_config('synchronous_commit', p_commit, true);
  IF p_old IS NULL THEN
    INSERT INTO {{table}} (key, state, expires_at, updated_at) VALUES (p_key, p_new, p_expires, p_now) ON CONFLICT DO NOTHING;
  ELSE
    UPDATE {{table}} t SET state = p_new, expires_at = p_expires, updated_at = p_now WHERE t.key = p_key AND t.state = p_old;
  END IF;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  IF p_mark IS NOT NULL THEN
    INSERT INTO {{table}} AS t (key, state, expires_at, updated_at) VALUES (p_mark, ARRAY[p_sequence], p_expires, p_now)
      ON CONFLICT (key) DO UPDATE SET state = EXCLUDED.state, expires_at = EXCLUDED.expires_at, updated_at = EXCLUDED.updated_at
      WHERE (t.state[1] < p_sequence) IS NOT FALSE;
    IF NOT FOUND THEN
      RAISE EXCEPTION 'entry % of % has been made', p_sequence, p_mark USING ERRCODE = 'SR002';
    END IF;
  END IF;
  RETURN true;
END
$update$;
