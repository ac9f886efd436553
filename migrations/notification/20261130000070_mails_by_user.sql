-- A mail once for each event, user and kind, as before; led by the user it also serves export, erasure and the nightly look for what is
-- left of erased people, which read the whole table.
CREATE UNIQUE INDEX idx_mails_user_event_kind ON notification.mails (user_id, event_id, kind);
