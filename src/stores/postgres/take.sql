-- The laws of src/algorithms/ over many counters, one after the other. Equal to ../record.ts, number for number.
--
-- p_keys    the counters, one per question, in ascending order: rows are locked in this order by everybody, so nobody waits in a circle
-- p_asks    five numbers per question: mode (0 peek, 1 take, 2 charge, 3 refund, 4 ban, 5 unban), cost, how many times,
--           instant of the charge that is given back (-1: unknown), place of the question's limits in p_sets
-- p_sets    limits that belong together: how many, ms to keep the counter, then eight numbers per limit:
--             0 bucket   capacity, period, unit, drain, initial level, forget
--             1 fixed    amount, period, align (0 clock, 1 first, 2 calendar), starts of three calendar periods, end of the last
--             2 sliding  amount, period, width
-- p_terms   of a ban: duration, factor, longest, forget after
-- p_now     ms; NULL: the server's clock, read after the row, once per question
-- p_wait    ms to wait for a row that another session holds: error 55P03 after that, and nothing has been charged
-- p_commit  synchronous_commit of this call
-- result    per question: how many were granted (-1: now is outside of the calendar periods, nothing was done), now, banned for,
--           and four numbers per limit (see ../../algorithms/explain.ts)
--
-- A counter's state: 0, or 3 and its ban; then per limit how many numbers follow, and those: stamp and level of a bucket, start and
-- count of a fixed window, total and then start and count of each entry of a sliding window. What is none of this is fully spent.
--
-- A row is read, decided on, and written only if it still is what was read: who comes second has waited for the first and decides
-- again. So what changes nothing (a look, a refusal) takes no lock and writes nothing. Next: wire.ts, the other half of this page.
CREATE OR REPLACE FUNCTION {{take}}(
  p_keys text[], p_asks bigint[], p_sets bigint[], p_terms bigint[], p_now bigint, p_wait text, p_commit text
) RETURNS bigint[] LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE SET enable_seqscan = off AS $take$
#variable_conflict use_variable
DECLARE
  v_max CONSTANT bigint := 9007199254740991;
  v_text text;
  v_out bigint[];
  v_to int := 0;
  v_q int; v_j int; v_p int; v_e int;
  -- the question
  v_key text; v_mode bigint; v_cost bigint; v_times bigint; v_taken bigint; v_set int; v_limits int;
  -- the row
  v_old bigint[]; v_new bigint[]; s bigint[];
  v_had boolean; v_sound boolean; v_damaged boolean; v_changed boolean; v_outside boolean;
  v_now bigint;
  v_until bigint; v_strikes bigint; v_forget bigint; v_banned bigint;
  -- per limit: its stamp or start and its level, count or total; first and last place of its entries; an entry after those; one
  -- between them that is gone
  v_at bigint[]; v_used bigint[]; v_lo int[]; v_hi int[]; v_tail bigint[]; v_tail_count bigint[]; v_gap int[];
  -- one limit
  v_l int; v_kind bigint; v_amount bigint; v_period bigint; v_length bigint;
  v_stamp bigint; v_level bigint; v_start bigint; v_need bigint; v_left bigint; v_room bigint;
  v_first int; v_last int; v_total bigint; v_tail1 bigint; v_tailc bigint; v_gap1 int;
  v_spends boolean; v_granted bigint; v_fit bigint; v_pour bigint; v_newest bigint;
BEGIN
  v_text := set_config('lock_timeout', p_wait, true) || set_config('synchronous_commit', p_commit, true);
  -- Room for all answers, so that none of them is copied for the next.
  FOR v_q IN 1 .. cardinality(p_keys) LOOP
    v_to := v_to + 3 + 4 * p_sets[p_asks[5 * v_q]]::int;
  END LOOP;
  v_out := array_fill(0::bigint, ARRAY[v_to]);
  v_to := 0;

  <<questions>>
  FOR v_q IN 1 .. cardinality(p_keys) LOOP
    v_key := p_keys[v_q];
    v_mode := p_asks[5 * v_q - 4];
    v_cost := p_asks[5 * v_q - 3];
    v_times := p_asks[5 * v_q - 2];
    v_taken := p_asks[5 * v_q - 1];
    v_set := p_asks[5 * v_q];
    v_limits := p_sets[v_set];

    <<attempts>>
    LOOP
      SELECT t.state INTO s FROM {{table}} t WHERE t.key = v_key;
      v_had := FOUND;
      v_old := s;
      v_now := coalesce(p_now, floor(date_part('epoch', clock_timestamp()) * 1000)::bigint);
      v_outside := false;

      -- Which numbers are whose. A ban and counters as they stand.
      v_until := -1; v_strikes := 0; v_forget := 0;
      v_damaged := false;
      IF v_had THEN
        v_sound := array_ndims(s) = 1 AND array_lower(s, 1) = 1 AND 0 <= ALL (s) AND v_max >= ALL (s);
        IF v_sound THEN
          v_p := 2;
          IF s[1] = 3 THEN
            v_until := s[2]; v_strikes := s[3]; v_forget := s[4];
            v_p := 5;
          ELSIF s[1] <> 0 THEN
            v_sound := false;
          END IF;
          FOR v_j IN 1 .. v_limits LOOP
            v_kind := p_sets[v_set - 6 + 8 * v_j];
            v_length := s[v_p];
            IF v_kind = 2 THEN
              IF (v_length = 0 OR v_length % 2 = 1 AND v_length > 1 AND v_length <= cardinality(s)) IS NOT TRUE THEN
                v_sound := false;
                EXIT;
              END IF;
              v_lo[v_j] := v_p + CASE v_length WHEN 0 THEN 1 ELSE 2 END;
              v_hi[v_j] := v_p + v_length;
              v_used[v_j] := CASE v_length WHEN 0 THEN 0 ELSE s[v_p + 1] END;
            ELSE
              IF (v_length = 0 OR v_length = 2) IS NOT TRUE THEN
                v_sound := false;
                EXIT;
              END IF;
              v_at[v_j] := CASE v_length WHEN 0 THEN -1 ELSE s[v_p + 1] END;
              v_used[v_j] := CASE v_length WHEN 0 THEN -1 ELSE s[v_p + 2] END;
            END IF;
            v_p := v_p + 1 + v_length;
          END LOOP;
          v_sound := v_sound AND v_p = cardinality(s) + 1;
        END IF;
        v_damaged := v_sound IS NOT TRUE;
      END IF;
      IF v_damaged THEN
        v_until := -1; v_strikes := 0; v_forget := 0;
      END IF;
      v_banned := GREATEST(v_until - v_now, 0);
      v_spends := v_banned = 0 AND (v_mode = 1 OR v_mode = 2);
      v_changed := v_damaged AND (v_spends OR v_mode >= 3);
      v_granted := v_times;

      -- Each limit at this instant: given back, healed, and how many times the cost fits.
      FOR v_j IN 1 .. v_limits LOOP
        v_l := v_set - 6 + 8 * v_j;
        v_kind := p_sets[v_l];
        v_amount := p_sets[v_l + 1];
        v_period := p_sets[v_l + 2];
        IF v_kind = 0 THEN
          v_need := v_cost * p_sets[v_l + 3];
          IF v_damaged THEN
            v_stamp := v_now; v_level := v_amount;
          ELSIF v_had THEN
            v_stamp := v_at[v_j]; v_level := v_used[v_j];
          ELSE
            v_stamp := -1; v_level := -1;
          END IF;
          IF v_spends THEN
            IF p_sets[v_l + 6] > 0 AND (v_stamp = -1 OR v_now - v_stamp >= p_sets[v_l + 6]) THEN
              v_stamp := v_now; v_level := p_sets[v_l + 5]; v_changed := true;
            ELSIF v_stamp - v_now > v_period THEN
              v_stamp := v_now; v_changed := true;
            END IF;
          END IF;
          -- The level now. The quotients only keep a product from passing 2^63.
          v_left := v_level;
          IF v_stamp = -1 THEN
            v_left := p_sets[v_l + 5];
          ELSIF v_now > v_stamp THEN
            IF p_sets[v_l + 6] > 0 AND v_now - v_stamp >= p_sets[v_l + 6] THEN
              v_left := p_sets[v_l + 5];
            ELSIF p_sets[v_l + 4] > 0 THEN
              IF v_now - v_stamp > v_level / p_sets[v_l + 4] THEN
                v_left := 0;
              ELSE
                v_left := v_level - (v_now - v_stamp) * p_sets[v_l + 4];
              END IF;
            END IF;
          END IF;
          IF v_mode = 3 AND v_left > 0 AND v_stamp <> -1
             AND NOT (p_sets[v_l + 6] > 0 AND v_now - v_stamp >= p_sets[v_l + 6]) THEN
            v_room := v_need;
            IF v_taken >= 0 AND v_now > v_taken AND p_sets[v_l + 4] > 0 THEN
              IF v_now - v_taken > v_need / p_sets[v_l + 4] THEN
                v_room := 0;
              ELSE
                v_room := v_need - (v_now - v_taken) * p_sets[v_l + 4];
              END IF;
            END IF;
            IF v_room > 0 THEN
              IF v_stamp <= v_now OR v_stamp - v_now > v_period THEN
                v_stamp := v_now;
              END IF;
              v_left := GREATEST(0, v_left - v_room);
              v_level := v_left;
              v_changed := true;
            END IF;
          END IF;
          v_room := v_amount - v_left;
          v_at[v_j] := v_stamp;
          v_used[v_j] := v_level;

        ELSIF v_kind = 1 THEN
          v_need := v_cost;
          v_start := CASE p_sets[v_l + 3] WHEN 0 THEN v_now - v_now % v_period WHEN 1 THEN v_now
            ELSE CASE WHEN v_now < p_sets[v_l + 5] THEN p_sets[v_l + 4] WHEN v_now < p_sets[v_l + 6] THEN p_sets[v_l + 5]
              ELSE p_sets[v_l + 6] END END;
          IF p_sets[v_l + 3] = 2 AND (v_now < p_sets[v_l + 4] OR v_now >= p_sets[v_l + 7]) THEN
            v_outside := true;
            EXIT;
          END IF;
          IF v_damaged THEN
            v_stamp := v_start; v_level := v_amount;
          ELSIF v_had THEN
            v_stamp := v_at[v_j]; v_level := v_used[v_j];
          ELSE
            v_stamp := -1; v_level := -1;
          END IF;
          -- A calendar period that begins no earlier than the one of now has not ended.
          v_sound := v_stamp <> -1 AND (CASE p_sets[v_l + 3] WHEN 2 THEN v_stamp >= v_start ELSE v_now < v_stamp + v_period END);
          IF v_mode = 3 AND v_sound AND (v_taken < 0 OR v_taken >= v_stamp) THEN
            v_changed := true;
            IF v_level > v_cost THEN
              v_level := v_level - v_cost;
            ELSE
              v_stamp := -1; v_sound := false;
            END IF;
          END IF;
          IF v_spends AND v_stamp - v_now > v_period THEN
            v_stamp := v_start; v_changed := true;
          END IF;
          v_left := CASE WHEN v_sound THEN v_level ELSE 0 END;
          v_room := v_amount - v_left;
          v_at[v_j] := v_stamp;
          v_used[v_j] := v_level;

        ELSE
          v_need := v_cost;
          v_tail1 := NULL; v_tailc := 0; v_gap1 := NULL;
          IF v_damaged THEN
            v_first := 1; v_last := 0; v_total := v_amount;
            v_tail1 := v_now - v_now % p_sets[v_l + 3]; v_tailc := v_amount;
          ELSIF v_had THEN
            v_first := v_lo[v_j]; v_last := v_hi[v_j]; v_total := v_used[v_j];
            WHILE v_mode < 4 AND v_first <= v_last AND v_now >= s[v_first] + p_sets[v_l + 3] - 1 + v_period LOOP
              v_total := v_total - s[v_first + 1];
              v_first := v_first + 2;
              -- What is dropped is gone, also when the clock then goes back.
              v_changed := v_changed OR v_spends OR v_mode = 3;
            END LOOP;
            IF v_mode < 4 AND v_first <= v_last AND s[v_last - 1] - v_now > v_period THEN
              v_tail1 := v_now - v_now % p_sets[v_l + 3]; v_tailc := v_total;
              v_first := 1; v_last := 0;
              v_changed := v_changed OR v_spends OR v_mode = 3;
            END IF;
          ELSE
            v_first := 1; v_last := 0; v_total := 0;
          END IF;
          IF v_mode = 3 AND v_total > 0 THEN
            v_left := v_cost;
            IF v_taken >= 0 THEN
              v_start := v_taken - v_taken % p_sets[v_l + 3];
              IF v_tail1 = v_start THEN
                v_left := LEAST(v_left, v_tailc);
                v_tailc := v_tailc - v_left; v_total := v_total - v_left; v_changed := true;
              END IF;
              v_e := v_first;
              WHILE v_e <= v_last LOOP
                IF s[v_e] = v_start THEN
                  v_left := LEAST(v_left, s[v_e + 1]);
                  s[v_e + 1] := s[v_e + 1] - v_left; v_total := v_total - v_left; v_changed := true;
                  IF s[v_e + 1] = 0 THEN
                    IF v_e = v_first THEN
                      v_first := v_first + 2;
                    ELSIF v_e = v_last - 1 THEN
                      v_last := v_last - 2;
                    ELSE
                      v_gap1 := v_e;
                    END IF;
                  END IF;
                  EXIT;
                END IF;
                v_e := v_e + 2;
              END LOOP;
            ELSE
              v_changed := true;
              WHILE v_left > 0 AND v_first <= v_last LOOP
                IF s[v_first + 1] > v_left THEN
                  s[v_first + 1] := s[v_first + 1] - v_left; v_total := v_total - v_left; v_left := 0;
                ELSE
                  v_left := v_left - s[v_first + 1]; v_total := v_total - s[v_first + 1];
                  v_first := v_first + 2;
                END IF;
              END LOOP;
              IF v_tail1 IS NOT NULL THEN
                v_left := LEAST(v_left, v_tailc);
                v_tailc := v_tailc - v_left; v_total := v_total - v_left;
              END IF;
            END IF;
            IF v_tailc = 0 THEN
              v_tail1 := NULL;
            END IF;
          END IF;
          v_room := v_amount - v_total;
          v_lo[v_j] := v_first; v_hi[v_j] := v_last; v_used[v_j] := v_total;
          v_tail[v_j] := v_tail1; v_tail_count[v_j] := v_tailc; v_gap[v_j] := v_gap1;
        END IF;
        IF v_room < v_need THEN
          v_granted := 0;
        ELSIF v_times > 1 THEN
          v_granted := LEAST(v_granted, v_room / v_need);
        END IF;
      END LOOP;
      IF v_outside THEN
        v_out[v_to + 1] := -1;
        v_out[v_to + 2] := v_now;
        v_to := v_to + 3 + 4 * v_limits;
        EXIT attempts;
      END IF;
      IF v_banned > 0 THEN
        v_granted := 0;
      END IF;
      -- How many times the cost is charged, whether it fits or not.
      v_pour := CASE WHEN NOT v_spends THEN 0 WHEN v_mode = 2 THEN 1 ELSE v_granted END;
      v_changed := v_changed OR v_pour > 0;

      IF v_mode = 4 THEN
        IF v_until = -1 OR v_now >= v_until + p_terms[4] THEN
          v_strikes := 0;
        END IF;
        v_left := p_terms[1];
        v_p := 0;
        WHILE v_p < v_strikes AND v_left < p_terms[3] AND p_terms[2] > 1 LOOP
          v_left := LEAST(p_terms[3], v_left::numeric * p_terms[2]);
          v_p := v_p + 1;
        END LOOP;
        v_left := LEAST(v_left, p_terms[3]);
        v_until := GREATEST(v_until, v_now + v_left);
        v_strikes := v_strikes + 1;
        v_banned := v_until - v_now;
        v_forget := GREATEST(v_forget, v_until + p_terms[4]);
        v_changed := true;
      ELSIF v_mode = 5 THEN
        v_changed := v_changed OR v_until <> -1;
        v_until := -1; v_strikes := 0; v_forget := 0;
      END IF;

      IF v_until = -1 THEN
        v_new := '{0}';
      ELSE
        v_new := ARRAY[3, v_until, v_strikes, v_forget];
      END IF;
      -- Charged, as it will be stored, and as it reads.
      v_p := v_to + 3;
      FOR v_j IN 1 .. v_limits LOOP
        v_l := v_set - 6 + 8 * v_j;
        v_kind := p_sets[v_l];
        v_amount := p_sets[v_l + 1];
        v_period := p_sets[v_l + 2];
        IF v_kind = 0 THEN
          v_stamp := v_at[v_j]; v_level := v_used[v_j];
          v_left := v_level;
          IF v_stamp = -1 THEN
            v_left := p_sets[v_l + 5];
          ELSIF v_now > v_stamp THEN
            IF p_sets[v_l + 6] > 0 AND v_now - v_stamp >= p_sets[v_l + 6] THEN
              v_left := p_sets[v_l + 5];
            ELSIF p_sets[v_l + 4] > 0 THEN
              IF v_now - v_stamp > v_level / p_sets[v_l + 4] THEN
                v_left := 0;
              ELSE
                v_left := v_level - (v_now - v_stamp) * p_sets[v_l + 4];
              END IF;
            END IF;
          END IF;
          v_start := CASE WHEN v_stamp > v_now AND v_stamp - v_now <= v_period THEN v_stamp ELSE v_now END;
          IF v_pour > 0 THEN
            v_need := v_cost * p_sets[v_l + 3];
            IF v_left <= v_amount - v_need THEN
              v_left := v_left + v_pour * v_need;
            ELSE
              v_left := GREATEST(v_amount, v_left);
            END IF;
            v_stamp := v_start; v_level := v_left;
          END IF;
          IF v_changed THEN
            v_new := v_new || CASE v_stamp WHEN -1 THEN '{0}' ELSE ARRAY[2, v_stamp, v_level] END;
          END IF;
          v_out[v_p + 1] := v_start;
          v_out[v_p + 2] := v_left;

        ELSIF v_kind = 1 THEN
          v_stamp := v_at[v_j]; v_level := v_used[v_j];
          v_start := CASE p_sets[v_l + 3] WHEN 0 THEN v_now - v_now % v_period WHEN 1 THEN v_now
            ELSE CASE WHEN v_now < p_sets[v_l + 5] THEN p_sets[v_l + 4] WHEN v_now < p_sets[v_l + 6] THEN p_sets[v_l + 5]
              ELSE p_sets[v_l + 6] END END;
          v_left := 0;
          IF v_stamp <> -1 AND (CASE p_sets[v_l + 3] WHEN 2 THEN v_stamp >= v_start ELSE v_now < v_stamp + v_period END) THEN
            v_left := v_level;
            IF v_stamp - v_now <= v_period THEN
              v_start := v_stamp;
            END IF;
          END IF;
          IF v_pour > 0 THEN
            IF v_left <= v_amount - v_cost THEN
              v_left := v_left + v_pour * v_cost;
            ELSE
              v_left := GREATEST(v_amount, v_left);
            END IF;
            v_stamp := v_start; v_level := v_left;
          END IF;
          IF v_changed THEN
            v_new := v_new || CASE v_stamp WHEN -1 THEN '{0}' ELSE ARRAY[2, v_stamp, v_level] END;
          END IF;
          v_out[v_p + 1] := v_start;
          v_out[v_p + 2] := v_left;
          v_out[v_p + 3] := v_start;
          v_out[v_p + 4] := v_start;

        ELSE
          v_first := v_lo[v_j]; v_last := v_hi[v_j]; v_total := v_used[v_j];
          v_tail1 := v_tail[v_j]; v_tailc := v_tail_count[v_j]; v_gap1 := v_gap[v_j];
          v_start := v_now - v_now % p_sets[v_l + 3];
          IF v_pour > 0 THEN
            -- A charge over the limit pushes the oldest out.
            v_left := v_total - (GREATEST(v_amount, v_total) - v_pour * v_cost);
            WHILE v_left > 0 AND v_first <= v_last LOOP
              IF s[v_first + 1] > v_left THEN
                s[v_first + 1] := s[v_first + 1] - v_left; v_total := v_total - v_left; v_left := 0;
              ELSE
                v_left := v_left - s[v_first + 1]; v_total := v_total - s[v_first + 1];
                v_first := v_first + 2;
              END IF;
            END LOOP;
            IF v_left > 0 AND v_tail1 IS NOT NULL THEN
              v_left := LEAST(v_left, v_tailc);
              v_tailc := v_tailc - v_left; v_total := v_total - v_left;
              IF v_tailc = 0 THEN
                v_tail1 := NULL;
              END IF;
            END IF;
            v_total := v_total + v_pour * v_cost;
            IF v_tail1 >= v_start THEN
              v_tailc := v_tailc + v_pour * v_cost;
            ELSIF v_first <= v_last AND s[v_last - 1] >= v_start THEN
              s[v_last] := s[v_last] + v_pour * v_cost;
            ELSE
              v_tail1 := v_start; v_tailc := v_pour * v_cost;
            END IF;
          END IF;
          IF v_changed THEN
            v_length := v_last - v_first + 1 + CASE WHEN v_tail1 IS NULL THEN 0 ELSE 2 END - CASE WHEN v_gap1 IS NULL THEN 0 ELSE 2 END;
            IF v_length = 0 THEN
              v_new := v_new || 0::bigint;
            ELSE
              v_new := v_new || ARRAY[v_length + 1, v_total];
              IF v_gap1 IS NOT NULL THEN
                v_new := v_new || s[v_first : v_gap1 - 1] || s[v_gap1 + 2 : v_last];
              ELSIF v_first <= v_last THEN
                v_new := v_new || s[v_first : v_last];
              END IF;
              IF v_tail1 IS NOT NULL THEN
                v_new := v_new || ARRAY[v_tail1, v_tailc];
              END IF;
            END IF;
          END IF;
          v_newest := coalesce(v_tail1, CASE WHEN v_first <= v_last THEN s[v_last - 1] ELSE v_start END);
          v_out[v_p + 1] := v_newest;
          v_out[v_p + 2] := v_total;
          v_out[v_p + 3] := CASE WHEN v_first <= v_last THEN s[v_first] ELSE v_newest END;
          -- The entry whose leaving makes room for the cost.
          v_left := v_total + v_cost - v_amount;
          WHILE v_left > 0 AND v_first <= v_last LOOP
            v_newest := s[v_first];
            v_left := v_left - s[v_first + 1];
            v_first := v_first + 2;
          END LOOP;
          IF v_left > 0 AND v_tail1 IS NOT NULL THEN
            v_newest := v_tail1;
          END IF;
          v_out[v_p + 4] := v_newest;
        END IF;
        v_p := v_p + 4;
      END LOOP;

      IF v_changed THEN
        v_left := GREATEST(v_now + p_sets[v_set + 1], v_forget);
        IF v_had THEN
          UPDATE {{table}} t SET state = v_new, expires_at = v_left, updated_at = v_now WHERE t.key = v_key AND t.state = v_old;
          CONTINUE attempts WHEN NOT FOUND;
        ELSIF v_mode <> 3 AND v_mode <> 5 THEN
          INSERT INTO {{table}} AS t (key, state, expires_at, updated_at) VALUES (v_key, v_new, v_left, v_now)
            ON CONFLICT DO NOTHING;
          CONTINUE attempts WHEN NOT FOUND;
        END IF;
      END IF;
      v_out[v_to + 1] := v_granted;
      v_out[v_to + 2] := v_now;
      v_out[v_to + 3] := v_banned;
      v_to := v_to + 3 + 4 * v_limits;
      EXIT attempts;
    END LOOP;
  END LOOP;
  RETURN v_out;
END
$take$;
