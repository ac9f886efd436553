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
