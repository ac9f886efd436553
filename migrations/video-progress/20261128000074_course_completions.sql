-- Who has completed all videos of a course and was told so: once, whatever is added to the course later.
CREATE TABLE video_progress.course_completions (
    user_id      uuid        NOT NULL,
    course_id    uuid        NOT NULL,
    completed_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, course_id)
);
-- Who may have completed a course when a video is taken out of it.
CREATE INDEX idx_progress_course_completed ON video_progress.progress (course_id, user_id) WHERE completed_at IS NOT NULL;

INSERT INTO video_progress.course_completions (user_id, course_id, completed_at)
SELECT p.user_id, v.course_id, max(p.completed_at)
FROM video_progress.videos v JOIN video_progress.progress p ON p.video_id = v.id AND p.completed_at IS NOT NULL
WHERE NOT v.is_deleted
GROUP BY p.user_id, v.course_id
HAVING count(*) = (SELECT count(*) FROM video_progress.videos o WHERE o.course_id = v.course_id AND NOT o.is_deleted);
