-- What praison_persist asks of a database through Supabase's REST API: each function is one
-- transaction, which several requests could not be. They run as the role of the key that calls them.
-- JSON documents travel as text, because PostgREST cannot pass on a \u0000 within a json value.
BEGIN;

-- PPV01: the session shows messages that are not its own rows; only the SQL store reads those.
CREATE OR REPLACE FUNCTION @{refuse_view}(p_session_id text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = '' AS $function$
BEGIN
  -- The inner view_seq is the column, or where the table has none yet, that of the row beside it.
  IF EXISTS (
    SELECT FROM (SELECT NULL::bigint AS view_seq) AS absent, LATERAL (
      SELECT view_seq AS shown FROM @{sessions} AS s WHERE s.session_id = p_session_id
    ) AS of_session
    WHERE of_session.shown IS NOT NULL
  ) THEN
    RAISE EXCEPTION 'session % is a fork, or was reverted', p_session_id USING ERRCODE = 'PPV01';
  END IF;
END
$function$;

-- As above, for what would delete messages: others may show them.
CREATE OR REPLACE FUNCTION @{refuse_shown}(p_session_id text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = '' AS $function$
DECLARE
  shown boolean := false;
BEGIN
  PERFORM @{refuse_view}(p_session_id);
  IF to_regclass('@{ranges}') IS NOT NULL THEN
    EXECUTE 'SELECT EXISTS (SELECT FROM @{ranges} WHERE source_id = $1)' INTO shown USING p_session_id;
  END IF;
  IF shown THEN
    RAISE EXCEPTION 'session % has forks', p_session_id USING ERRCODE = 'PPV01';
  END IF;
END
$function$;

CREATE OR REPLACE FUNCTION @{insert_session}(p_session json, p_messages json) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = '' AS $function$
BEGIN
  INSERT INTO @{sessions} (
    session_id, user_id, agent_id, name, state, metadata, created_at, updated_at, version, last_seq
  )
  SELECT s.session_id, s.user_id, s.agent_id, s.name, s.state::json, s.metadata::json,
    s.created_at, s.updated_at, s.version, s.last_seq
  FROM json_to_record(p_session) AS s (
    session_id text, user_id text, agent_id text, name text, state text, metadata text,
    created_at double precision, updated_at double precision, version bigint, last_seq bigint
  )
  ON CONFLICT (session_id) DO NOTHING;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  INSERT INTO @{messages} (
    session_id, seq, id, run_id, role, content, tool_calls, tool_call_id, metadata, created_at
  )
  SELECT p_session ->> 'session_id', m.seq, m.id, m.run_id, m.role, m.content, m.tool_calls::json,
    m.tool_call_id, m.metadata::json, m.created_at
  FROM json_to_recordset(p_messages) AS m (
    seq bigint, id text, run_id text, role text, content text, tool_calls text,
    tool_call_id text, metadata text, created_at double precision
  );
  RETURN true;
END
$function$;

CREATE OR REPLACE FUNCTION @{find_session}(p_session_id text) RETURNS json
LANGUAGE sql STABLE SET search_path = '' AS $function$
  SELECT to_json(f) FROM (
    SELECT @{session_columns} FROM @{sessions} AS s WHERE s.session_id = p_session_id
  ) AS f
$function$;

-- {"session": …}, or {"version": …} of one that is of another version than expected, or null.
CREATE OR REPLACE FUNCTION @{replace_session}(
  p_session json, p_now double precision, p_expected_version bigint
) RETURNS json
LANGUAGE plpgsql VOLATILE SET search_path = '' AS $function$
DECLARE
  stored json;
BEGIN
  WITH updated AS (
    UPDATE @{sessions} AS s
    SET user_id = n.user_id, agent_id = n.agent_id, name = n.name, state = n.state::json,
      metadata = n.metadata::json, version = s.version + 1,
      updated_at = greatest(s.updated_at, p_now)
    FROM json_to_record(p_session) AS n (
      session_id text, user_id text, agent_id text, name text, state text, metadata text
    )
    WHERE s.session_id = n.session_id
      AND (p_expected_version IS NULL OR s.version = p_expected_version)
    RETURNING @{session_columns}
  )
  SELECT json_build_object('session', f) INTO stored FROM updated AS f;
  IF stored IS NULL AND p_expected_version IS NOT NULL THEN
    SELECT json_build_object('version', s.version) INTO stored
    FROM @{sessions} AS s WHERE s.session_id = p_session ->> 'session_id';
  END IF;
  RETURN stored;
END
$function$;

-- The session is locked first, as by all that write messages, so that none waits for another.
CREATE OR REPLACE FUNCTION @{remove_session}(p_session_id text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path = '' AS $function$
BEGIN
  PERFORM FROM @{sessions} AS s WHERE s.session_id = p_session_id FOR UPDATE;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  PERFORM @{refuse_shown}(p_session_id);
  DELETE FROM @{spans} WHERE trace_id IN (
    SELECT t.trace_id FROM @{traces} AS t WHERE t.session_id = p_session_id
  );
  DELETE FROM @{traces} WHERE session_id = p_session_id;
  DELETE FROM @{tool_calls} WHERE session_id = p_session_id;
  DELETE FROM @{runs} WHERE session_id = p_session_id;
  DELETE FROM @{messages} WHERE session_id = p_session_id;
  DELETE FROM @{sessions} WHERE session_id = p_session_id;
  RETURN true;
END
$function$;

CREATE OR REPLACE FUNCTION @{list_sessions}(
  p_user_id text, p_agent_id text, p_limit bigint, p_offset bigint,
  p_updated_at double precision, p_session_id text
) RETURNS json
LANGUAGE plpgsql STABLE SET search_path = '' SET plan_cache_mode = force_custom_plan AS $function$
BEGIN
  RETURN (
    SELECT coalesce(json_agg(f ORDER BY f.updated_at DESC, f.session_id DESC), '[]')
    FROM (
      SELECT @{session_columns} FROM @{sessions} AS s
      WHERE (p_user_id IS NULL OR s.user_id = p_user_id)
        AND (p_agent_id IS NULL OR s.agent_id = p_agent_id)
        AND (p_updated_at IS NULL OR (s.updated_at, s.session_id) < (p_updated_at, p_session_id))
      ORDER BY s.updated_at DESC, s.session_id DESC LIMIT p_limit OFFSET p_offset
    ) AS f
  );
END
$function$;

-- {"last_seq": …, "stored": …}: the last number before, and for each message that of the one stored
-- of its id, or null of one that got the next number. Or nothing is written and {"known": …} has
-- stored messages of the same ids, which the caller compares and names in p_known the next time: a
-- stored message never changes, and its seq is given to no other. Or null: there is no session.
CREATE OR REPLACE FUNCTION @{append_messages}(
  p_session_id text, p_messages json, p_known bigint[], p_now double precision
) RETURNS json
LANGUAGE plpgsql VOLATILE SET search_path = '' AS $function$
DECLARE
  base bigint;
  stored bigint[];
  added bigint;
BEGIN
  SELECT s.last_seq INTO base FROM @{sessions} AS s WHERE s.session_id = p_session_id FOR UPDATE;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  PERFORM @{refuse_view}(p_session_id);
  -- A subquery for each message: of a join, the planner might make a hash of the whole session.
  SELECT array_agg((
    SELECT m.seq FROM @{messages} AS m WHERE m.id = g.id AND m.session_id = p_session_id
  ) ORDER BY g.place) INTO stored
  FROM ROWS FROM (json_to_recordset(p_messages) AS (id text)) WITH ORDINALITY AS g (id, place);
  IF EXISTS (
    SELECT FROM unnest(stored) AS f (seq) WHERE f.seq IS NOT NULL AND f.seq <> ALL (p_known)
  ) THEN
    RETURN json_build_object('known', (
      SELECT json_agg(f) FROM (
        SELECT @{message_columns} FROM @{messages} AS m
        WHERE m.session_id = p_session_id AND m.seq = ANY (stored)
      ) AS f
    ));
  END IF;
  INSERT INTO @{messages} (
    session_id, seq, id, run_id, role, content, tool_calls, tool_call_id, metadata, created_at
  )
  SELECT p_session_id, base + row_number() OVER (ORDER BY g.place), g.id, g.run_id, g.role,
    g.content, g.tool_calls::json, g.tool_call_id, g.metadata::json, g.created_at
  FROM ROWS FROM (
    json_to_recordset(p_messages) AS (
      id text, run_id text, role text, content text, tool_calls text, tool_call_id text,
      metadata text, created_at double precision
    ),
    unnest(stored)
  ) WITH ORDINALITY AS g (
    id, run_id, role, content, tool_calls, tool_call_id, metadata, created_at, stored, place
  )
  WHERE g.stored IS NULL;
  GET DIAGNOSTICS added = ROW_COUNT;
  IF added > 0 THEN
    UPDATE @{sessions} AS s
    SET last_seq = base + added, updated_at = greatest(s.updated_at, p_now)
    WHERE s.session_id = p_session_id;
  END IF;
  RETURN json_build_object('last_seq', base, 'stored', stored);
END
$function$;

CREATE OR REPLACE FUNCTION @{list_messages}(
  p_session_id text, p_limit bigint, p_above bigint, p_below bigint,
  p_before double precision, p_after double precision, p_newest_first boolean
) RETURNS json
-- Of a new table the planner has no statistics, and would sort the whole session.
LANGUAGE plpgsql STABLE SET search_path = '' SET plan_cache_mode = force_custom_plan
SET enable_bitmapscan = off AS $function$
DECLARE
  found json;
BEGIN
  PERFORM @{refuse_view}(p_session_id);
  IF p_newest_first THEN
    SELECT json_agg(f ORDER BY f.seq DESC) INTO found
    FROM (
      SELECT @{message_columns} FROM @{messages} AS m
      WHERE m.session_id = p_session_id
        AND (p_above IS NULL OR m.seq > p_above) AND (p_below IS NULL OR m.seq < p_below)
        AND (p_before IS NULL OR m.created_at < p_before)
        AND (p_after IS NULL OR m.created_at > p_after)
      ORDER BY m.seq DESC LIMIT p_limit
    ) AS f;
  ELSE
    SELECT json_agg(f ORDER BY f.seq) INTO found
    FROM (
      SELECT @{message_columns} FROM @{messages} AS m
      WHERE m.session_id = p_session_id
        AND (p_above IS NULL OR m.seq > p_above) AND (p_below IS NULL OR m.seq < p_below)
        AND (p_before IS NULL OR m.created_at < p_before)
        AND (p_after IS NULL OR m.created_at > p_after)
      ORDER BY m.seq LIMIT p_limit
    ) AS f;
  END IF;
  RETURN coalesce(found, '[]');
END
$function$;

CREATE OR REPLACE FUNCTION @{remove_messages}(p_session_id text, p_ids text[]) RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = '' AS $function$
DECLARE
  removed bigint;
BEGIN
  PERFORM FROM @{sessions} AS s WHERE s.session_id = p_session_id FOR UPDATE;
  PERFORM @{refuse_shown}(p_session_id);
  DELETE FROM @{messages}
  WHERE session_id = p_session_id AND (p_ids IS NULL OR id = ANY (p_ids));
  GET DIAGNOSTICS removed = ROW_COUNT;
  RETURN removed;
END
$function$;

CREATE OR REPLACE FUNCTION @{count_messages}(p_session_id text) RETURNS bigint
LANGUAGE plpgsql STABLE SET search_path = '' AS $function$
BEGIN
  PERFORM @{refuse_view}(p_session_id);
  RETURN (SELECT count(*) FROM @{messages} AS m WHERE m.session_id = p_session_id);
END
$function$;

-- {"session": …, "messages": …} of one instant, or null.
CREATE OR REPLACE FUNCTION @{find_whole}(p_session_id text) RETURNS json
LANGUAGE plpgsql STABLE SET search_path = '' AS $function$
DECLARE
  part text;
  there boolean;
BEGIN
  PERFORM @{refuse_view}(p_session_id);
  -- PPV02: the caller has no place for these, and must not lose them.
  FOREACH part IN ARRAY ARRAY[@{parts}]
  LOOP
    IF to_regclass(part) IS NOT NULL THEN
      EXECUTE 'SELECT EXISTS (SELECT FROM ' || part || ' WHERE session_id = $1)'
      INTO there USING p_session_id;
      IF there THEN
        RAISE EXCEPTION 'session % has rows in %', p_session_id, part USING ERRCODE = 'PPV02';
      END IF;
    END IF;
  END LOOP;
  RETURN (
    SELECT json_build_object('session', f, 'messages', (
      SELECT coalesce(json_agg(g ORDER BY g.seq), '[]') FROM (
        SELECT @{message_columns} FROM @{messages} AS m WHERE m.session_id = p_session_id
      ) AS g
    ))
    FROM (
      SELECT @{session_columns} FROM @{sessions} AS s WHERE s.session_id = p_session_id
    ) AS f
  );
END
$function$;

-- Nothing is for those who hold the publishable (anon) key or a user's token: the key that is used
-- has to be the secret one, of the role below. Supabase lets that role past row level security.
REVOKE ALL ON FUNCTION @{functions} FROM PUBLIC;
REVOKE ALL ON TABLE @{tables} FROM PUBLIC;
DO $grants$
DECLARE
  other text;
BEGIN
  FOR other IN SELECT r.rolname FROM pg_roles AS r WHERE r.rolname IN ('anon', 'authenticated')
  LOOP
    EXECUTE format('REVOKE ALL ON FUNCTION @{functions} FROM %I', other);
    EXECUTE format('REVOKE ALL ON TABLE @{tables} FROM %I', other);
  END LOOP;
END
$grants$;
GRANT USAGE ON SCHEMA @{schema} TO @{role};
GRANT EXECUTE ON FUNCTION @{functions} TO @{role};
GRANT SELECT, INSERT, UPDATE, DELETE ON TABLE @{tables} TO @{role};
@{row_level_security}
COMMIT;

NOTIFY pgrst, 'reload schema';
