-- As the audit log of accounts: rows are only added.
CREATE FUNCTION exam.audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is only added to';
END $$;
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON exam.audit
    FOR EACH ROW EXECUTE FUNCTION exam.audit_is_append_only();
CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON exam.audit
    FOR EACH STATEMENT EXECUTE FUNCTION exam.audit_is_append_only();
