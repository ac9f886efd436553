-- Who is told when a webhook is turned off. Empty until the account's next change for those who were here before.
ALTER TABLE notification.users ADD COLUMN role text NOT NULL DEFAULT '';
CREATE INDEX idx_users_admins ON notification.users (id) WHERE role = 'admin';
