-- One page of a clean-up: looks at the next rows by key, and deletes those of them that are dead and that no decision holds.
-- $1 the key after which the page begins · $2 the key before which all pages end · $3 rows per page · $4 a pattern of LIKE
-- $5 ms: dead if it expired by then · $6 ms: or if it was last changed by then · $7 whether to delete
-- Out: the last key looked at (NULL: no more rows), how many are dead, how many were deleted. Next: housekeeping.ts.
WITH page AS MATERIALIZED (
  SELECT t.key, t.key LIKE $4::text ESCAPE '\' AND (t.expires_at <= $5::text::bigint OR t.updated_at <= $6::text::bigint) AS dead
    FROM {{table}} t WHERE t.key > $1::text AND t.key < $2::text ORDER BY t.key LIMIT $3::text::int
), free AS MATERIALIZED (
  SELECT t.key FROM {{table}} t
    WHERE $7::text::boolean AND t.key = ANY (ARRAY(SELECT p.key FROM page p WHERE p.dead))
      AND (t.expires_at <= $5::text::bigint OR t.updated_at <= $6::text::bigint)
    ORDER BY t.key FOR UPDATE SKIP LOCKED
), gone AS (
  DELETE FROM {{table}} t USING free f
    WHERE t.key = f.key AND (t.expires_at <= $5::text::bigint OR t.updated_at <= $6::text::bigint) RETURNING 1
)
SELECT (SELECT max(p.key) FROM page p), (SELECT count(*) FROM page p WHERE p.dead)::text, (SELECT count(*) FROM gone)::text
