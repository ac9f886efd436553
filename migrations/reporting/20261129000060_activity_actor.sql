-- Who did it, where the event tells (A-OUT-12): the student, staff, or nobody.
ALTER TABLE reporting.activity ADD COLUMN actor_id uuid;
CREATE INDEX idx_activity_actor ON reporting.activity (actor_id, at, id);
