-- A course is given in sections: to a group of students, in a term, with seats and an end of its own.
CREATE TABLE enrollment.sections (
    id         uuid        PRIMARY KEY,
    course_id  uuid        NOT NULL,
    name       text        NOT NULL,
    -- As the institution calls it, such as `2026-2027 Güz`.
    term       text        NOT NULL,
    starts_at  timestamptz,
    -- Nobody enrols after it, and enrolments expire.
    ends_at    timestamptz,
    -- NULL: as many as the course has.
    seat_limit integer     CONSTRAINT sections_seats_check CHECK (seat_limit >= 0),
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);
CREATE UNIQUE INDEX idx_sections_name ON enrollment.sections (course_id, term, name);
CREATE INDEX idx_sections_page ON enrollment.sections (course_id, id DESC);
