-- Which videos a course has now: fed by video.changed.
CREATE TABLE reporting.videos (
    id         uuid    PRIMARY KEY,
    version    integer NOT NULL,
    course_id  uuid    NOT NULL,
    is_deleted boolean NOT NULL
);
CREATE INDEX idx_videos_course ON reporting.videos (course_id) WHERE NOT is_deleted;
