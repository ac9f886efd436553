-- Serves forgetting those that were read, from the oldest on. What is left of that age was never read, which the primary key serves.
CREATE INDEX idx_notifications_read ON notification.notifications (id) WHERE read_at IS NOT NULL;
