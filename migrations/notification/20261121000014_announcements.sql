-- An announcement is its own job: `reached` is the last student it went to, in the order of their ids.
CREATE TABLE notification.announcements (
    id           uuid        PRIMARY KEY,
    course_id    uuid        NOT NULL,
    course_title text        NOT NULL,
    author_id    uuid        NOT NULL,
    title        text        NOT NULL,
    body         text        NOT NULL,
    state        text        NOT NULL DEFAULT 'sending',
    reached      uuid        NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    sent_count   integer     NOT NULL DEFAULT 0,
    created_at   timestamptz NOT NULL,
    -- Whose turn is next: that of the announcement that waited longest.
    turn_at      timestamptz NOT NULL,
    CONSTRAINT announcements_state_check CHECK (state IN ('sending', 'sent'))
);
CREATE INDEX idx_announcements_course_page ON notification.announcements (course_id, id DESC);
CREATE INDEX idx_announcements_turn ON notification.announcements (turn_at) WHERE state = 'sending';
