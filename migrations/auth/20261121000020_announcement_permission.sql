-- Roles of before there were announcements; a new installation gets the permission with its roles.
UPDATE auth.roles SET permissions = array_append(permissions, 'announcements:write')
WHERE name IN ('teacher', 'admin') AND NOT 'announcements:write' = ANY (permissions);
