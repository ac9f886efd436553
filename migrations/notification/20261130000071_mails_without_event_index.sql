-- In a transaction of its own: it asks for the whole table. While the making of the other index still held writers off, one of them that
-- had read before would be waited for, and would wait itself.
DROP INDEX notification.idx_mails_event_user_kind;
