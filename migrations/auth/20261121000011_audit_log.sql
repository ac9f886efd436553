-- Who did what, when and from where. Rows are only added; a partition a month.
CREATE TABLE auth.audit_log (
    id          uuid        NOT NULL,
    at          timestamptz NOT NULL,
    -- NULL: nobody who is known, or the system.
    actor_id    uuid,
    -- Who acted as the actor.
    on_behalf   uuid,
    action      text        NOT NULL,
    target_kind text        NOT NULL,
    target_id   text        NOT NULL,
    ip          text        NOT NULL,
    request_id  text        NOT NULL,
    details     jsonb       NOT NULL,
    PRIMARY KEY (id, at)
) PARTITION BY RANGE (at);

-- Should a month be missing, nothing is refused.
CREATE TABLE auth.audit_log_rest PARTITION OF auth.audit_log DEFAULT;
CREATE INDEX idx_audit_log_page ON auth.audit_log (id DESC);
CREATE INDEX idx_audit_log_actor ON auth.audit_log (actor_id, id DESC);
CREATE INDEX idx_audit_log_target ON auth.audit_log (target_id, id DESC);
CREATE INDEX idx_audit_log_action ON auth.audit_log (action, id DESC);

CREATE FUNCTION auth.audit_log_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is only added to';
END $$;
CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE ON auth.audit_log
    FOR EACH ROW EXECUTE FUNCTION auth.audit_log_is_append_only();
