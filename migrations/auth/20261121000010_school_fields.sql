-- A-AUTH-03.
ALTER TABLE auth.users
    ADD COLUMN department  text NOT NULL DEFAULT '',
    ADD COLUMN student_id  text NOT NULL DEFAULT '',
    -- Of the system that an account was imported from.
    ADD COLUMN external_id text NOT NULL DEFAULT '';

CREATE INDEX idx_users_department ON auth.users (department, role, id DESC) WHERE department <> '';
CREATE INDEX idx_users_student ON auth.users (student_id) WHERE student_id <> '';
