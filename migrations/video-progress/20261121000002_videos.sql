-- What this service keeps of videos: fed by video.changed, asked for by gRPC on a miss.
CREATE TABLE video_progress.videos (
    id               uuid    PRIMARY KEY,
    version          integer NOT NULL,
    course_id        uuid    NOT NULL,
    youtube_id       text    NOT NULL,
    title            text    NOT NULL,
    duration_seconds integer NOT NULL,
    order_index      integer NOT NULL,
    is_deleted       boolean NOT NULL
);
CREATE INDEX idx_videos_course ON video_progress.videos (course_id, order_index, id) WHERE NOT is_deleted;
