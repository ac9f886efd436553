-- Login roles and schemas: each service owns one schema and sees no other. Idempotent; run by psql as a superuser with the
-- passwords as variables: psql -v auth_password=... -v catalog_password=... -v enrollment_password=... -v notification_password=... -v video_progress_password=... -v exam_password=... -v reporting_password=...
-- A prefix for the roles (-v role_prefix=test_) lets several installations share one server.
\set ON_ERROR_STOP on
\if :{?role_prefix}
\else
  \set role_prefix sc_
\endif

CREATE SCHEMA IF NOT EXISTS extensions;
CREATE EXTENSION IF NOT EXISTS pg_trgm SCHEMA extensions;
CREATE EXTENSION IF NOT EXISTS unaccent SCHEMA extensions;

CREATE TEMPORARY TABLE service_roles (schema text, role text, password text);
INSERT INTO service_roles VALUES
    ('auth', :'role_prefix' || 'auth', :'auth_password'),
    ('catalog', :'role_prefix' || 'catalog', :'catalog_password'),
    ('enrollment', :'role_prefix' || 'enrollment', :'enrollment_password'),
    ('notification', :'role_prefix' || 'notification', :'notification_password'),
    ('video_progress', :'role_prefix' || 'video_progress', :'video_progress_password'),
    ('exam', :'role_prefix' || 'exam', :'exam_password'),
    ('reporting', :'role_prefix' || 'reporting', :'reporting_password');

-- Nobody has anything that is not given below.
REVOKE ALL ON SCHEMA public FROM PUBLIC;
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database()) \gexec

SELECT format('CREATE ROLE %I LOGIN', role) FROM service_roles
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) \gexec
SELECT format('ALTER ROLE %I PASSWORD %L', role, password) FROM service_roles \gexec
SELECT format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), role) FROM service_roles \gexec
SELECT format('GRANT USAGE ON SCHEMA extensions TO %I', role) FROM service_roles \gexec
SELECT format('CREATE SCHEMA IF NOT EXISTS %I AUTHORIZATION %I', schema, role) FROM service_roles \gexec
SELECT format('ALTER ROLE %I SET search_path = %I, extensions', role, schema) FROM service_roles \gexec
-- A transaction that somebody forgot must not hold its locks for ever.
SELECT format('ALTER ROLE %I SET idle_in_transaction_session_timeout = ''10s''', role) FROM service_roles \gexec
SELECT format('ALTER ROLE %I SET statement_timeout = ''30s''', role) FROM service_roles \gexec
SELECT format('ALTER ROLE %I SET lock_timeout = ''10s''', role) FROM service_roles \gexec
-- Search forgives a typing error in a word of eight letters; at 0.6, the default, it would not.
SELECT format('ALTER ROLE %I SET pg_trgm.word_similarity_threshold = 0.4', role) FROM service_roles WHERE schema = 'catalog' \gexec

-- The audit log belongs to a role that nobody signs in as, and so does the schema that it is in: auth adds rows and reads them, and
-- can neither change them nor take the log or its triggers away.
SELECT :'role_prefix' || 'audit' AS audit_role, :'role_prefix' || 'auth' AS auth_role \gset
SELECT format('CREATE ROLE %I NOLOGIN', :'audit_role')
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'audit_role') \gexec
-- So that it can take tables over from auth; it gives auth nothing of its own.
SELECT format('GRANT %I TO %I', :'auth_role', :'audit_role')
WHERE NOT pg_has_role(:'audit_role', :'auth_role', 'MEMBER') \gexec
SELECT format('ALTER SCHEMA auth OWNER TO %I', :'audit_role') \gexec
SELECT format('GRANT USAGE, CREATE ON SCHEMA auth TO %I', :'auth_role') \gexec

-- Takes the log over from the role that has migrated it, and makes the partitions of this month and the following ones. Auth calls it
-- at each start and every night.
CREATE OR REPLACE FUNCTION auth.keep_audit_log(months integer) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    log constant regclass := 'auth.audit_log'::regclass;
    part regclass;
    first date;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('auth.keep_audit_log'));
    FOR part IN
        SELECT oid FROM pg_class
        WHERE (oid = log OR oid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = log))
          AND pg_get_userbyid(relowner) <> current_user
        ORDER BY oid
    LOOP
        EXECUTE format('ALTER TABLE %s OWNER TO CURRENT_USER', part);
    END LOOP;
    IF pg_get_userbyid((SELECT proowner FROM pg_proc WHERE oid = 'auth.audit_log_is_append_only()'::regprocedure)) <> current_user THEN
        ALTER FUNCTION auth.audit_log_is_append_only() OWNER TO CURRENT_USER;
    END IF;
    IF NOT has_table_privilege(session_user, log, 'INSERT') THEN
        EXECUTE format('GRANT SELECT, INSERT ON auth.audit_log TO %I', session_user);
    END IF;
    FOR ahead IN 0 .. months - 1 LOOP
        first := date_trunc('month', now() AT TIME ZONE 'UTC')::date + make_interval(months => ahead);
        BEGIN
            EXECUTE format(
                'CREATE TABLE IF NOT EXISTS auth.audit_log_%s PARTITION OF auth.audit_log FOR VALUES FROM (%L) TO (%L)',
                to_char(first, 'YYYY_MM'), first::text || ' 00:00+00', (first + interval '1 month')::date::text || ' 00:00+00');
        EXCEPTION WHEN check_violation THEN
            -- Rows of that month are in the default partition already, and the rest of them goes there too.
            RAISE WARNING 'no partition of audit_log for %', first;
        END;
    END LOOP;
END $$;
SELECT format('ALTER FUNCTION auth.keep_audit_log OWNER TO %I', :'audit_role') \gexec
REVOKE ALL ON FUNCTION auth.keep_audit_log FROM PUBLIC;
SELECT format('GRANT EXECUTE ON FUNCTION auth.keep_audit_log TO %I', :'auth_role') \gexec
