CREATE TABLE catalog.categories (
    id         uuid        PRIMARY KEY,
    name       text        NOT NULL,
    slug       text        NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL
);

CREATE UNIQUE INDEX idx_categories_slug ON catalog.categories (slug);

-- What this service keeps of users: fed by user.registered and user.updated, asked for by gRPC on a miss.
CREATE TABLE catalog.teachers (
    id        uuid    PRIMARY KEY,
    version   integer NOT NULL,
    full_name text    NOT NULL
);

CREATE TABLE catalog.courses (
    id               uuid        PRIMARY KEY,
    title            text        NOT NULL,
    description      text        NOT NULL DEFAULT '',
    teacher_id       uuid        NOT NULL,
    category_id      uuid        CONSTRAINT courses_category_fkey REFERENCES catalog.categories (id),
    code             text        NOT NULL DEFAULT '',
    academic_year    text        NOT NULL DEFAULT '',
    is_published     boolean     NOT NULL DEFAULT false,
    -- False once archived.
    is_active        boolean     NOT NULL DEFAULT true,
    seat_limit       integer,
    prerequisite_ids uuid[]      NOT NULL DEFAULT '{}',
    -- Sums over the course's videos, kept in the transaction that changes them.
    video_count      integer     NOT NULL DEFAULT 0,
    duration_seconds integer     NOT NULL DEFAULT 0,
    version          integer     NOT NULL DEFAULT 1,
    created_at       timestamptz NOT NULL,
    updated_at       timestamptz NOT NULL,
    published_at     timestamptz,
    -- Where an imported course came from: the same source twice changes nothing.
    source_key       text,
    title_folded     text        NOT NULL GENERATED ALWAYS AS (catalog.fold_turkish(title)) STORED,
    search           tsvector    NOT NULL GENERATED ALWAYS AS (
        setweight(to_tsvector('turkish', catalog.fold_turkish(title || ' ' || code)), 'A')
        || setweight(to_tsvector('turkish', catalog.fold_turkish(description)), 'B')) STORED
);

-- C-DB-04, A-DB-01; the id at the end makes them serve keyset pages.
CREATE INDEX idx_courses_published ON catalog.courses (is_published, is_active, id DESC);
CREATE INDEX idx_courses_category ON catalog.courses (category_id, id DESC);
CREATE INDEX idx_courses_teacher ON catalog.courses (teacher_id, id DESC);
CREATE INDEX idx_courses_code_year ON catalog.courses (code, academic_year);
CREATE INDEX idx_courses_academic_year ON catalog.courses (academic_year, id DESC);
-- C-DB-07.
CREATE INDEX idx_courses_search ON catalog.courses USING gin (search);
CREATE INDEX idx_courses_title_trigram ON catalog.courses USING gin (title_folded extensions.gin_trgm_ops);
CREATE INDEX idx_courses_prerequisites ON catalog.courses USING gin (prerequisite_ids);
CREATE UNIQUE INDEX idx_courses_source ON catalog.courses (source_key) WHERE source_key IS NOT NULL;
