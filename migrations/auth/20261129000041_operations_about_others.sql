-- Whose data it is about, where that is not who asked.
ALTER TABLE auth.operations ADD COLUMN subject_id uuid;
CREATE INDEX idx_operations_subject ON auth.operations (subject_id) WHERE subject_id IS NOT NULL;

-- Roles of before; a new installation gets the permission with its roles.
UPDATE auth.roles SET permissions = array_append(permissions, 'personal-data:manage')
WHERE name = 'admin' AND NOT 'personal-data:manage' = ANY (permissions);
