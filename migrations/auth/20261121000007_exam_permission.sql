-- Roles of before there were exams; a new installation gets the permission with its roles.
UPDATE auth.roles SET permissions = array_append(permissions, 'exams:manage')
WHERE name IN ('teacher', 'admin') AND NOT 'exams:manage' = ANY (permissions);
