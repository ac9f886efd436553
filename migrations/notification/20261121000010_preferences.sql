-- What users chose; a category and channel without a row has its default.
CREATE TABLE notification.preferences (
    user_id   uuid NOT NULL,
    category  text NOT NULL,
    channel   text NOT NULL,
    frequency text NOT NULL,
    PRIMARY KEY (user_id, category, channel),
    CONSTRAINT preferences_category_check CHECK (category IN ('account', 'courses', 'exams', 'announcements', 'reports')),
    CONSTRAINT preferences_channel_check CHECK (channel IN ('in_app', 'email')),
    CONSTRAINT preferences_frequency_check CHECK (frequency IN ('now', 'daily', 'weekly', 'off'))
);

-- Minutes of the day in the user's time zone.
CREATE TABLE notification.quiet_hours (
    user_id      uuid     PRIMARY KEY,
    from_minutes smallint NOT NULL,
    to_minutes   smallint NOT NULL,
    CONSTRAINT quiet_hours_day_check CHECK (from_minutes BETWEEN 0 AND 1439 AND to_minutes BETWEEN 0 AND 1439),
    CONSTRAINT quiet_hours_length_check CHECK (from_minutes <> to_minutes)
);

ALTER TABLE notification.users ADD COLUMN time_zone text NOT NULL DEFAULT 'Europe/Istanbul';
