-- Lists of those who are active, and of those who are not.
CREATE INDEX idx_users_activity ON auth.users (is_active, id DESC);
