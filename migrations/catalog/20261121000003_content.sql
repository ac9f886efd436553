CREATE TABLE catalog.topics (
    id          uuid        PRIMARY KEY,
    course_id   uuid        NOT NULL REFERENCES catalog.courses (id) ON DELETE CASCADE,
    title       text        NOT NULL,
    order_index integer     NOT NULL,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL
);

CREATE INDEX idx_topics_course ON catalog.topics (course_id, order_index, id);

CREATE TABLE catalog.videos (
    id               uuid        PRIMARY KEY,
    course_id        uuid        NOT NULL REFERENCES catalog.courses (id) ON DELETE CASCADE,
    topic_id         uuid        REFERENCES catalog.topics (id) ON DELETE SET NULL,
    youtube_id       text        NOT NULL,
    title            text        NOT NULL,
    order_index      integer     NOT NULL,
    duration_seconds integer     NOT NULL DEFAULT 0,
    version          integer     NOT NULL DEFAULT 1,
    created_at       timestamptz NOT NULL,
    updated_at       timestamptz NOT NULL
);

CREATE INDEX idx_videos_course ON catalog.videos (course_id, order_index, id);
CREATE INDEX idx_videos_topic ON catalog.videos (topic_id);
-- A course shows a YouTube video once.
CREATE UNIQUE INDEX idx_videos_course_youtube ON catalog.videos (course_id, youtube_id);
