-- The programs of who loses a permission.
CREATE INDEX idx_service_accounts_maker ON auth.service_accounts (created_by) WHERE ended_at IS NULL;
