-- Holders see and edit users of their own department alone.
ALTER TABLE auth.roles ADD COLUMN department_scoped boolean NOT NULL DEFAULT false;
