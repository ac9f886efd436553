#!/bin/sh
# Dumps the whole database into a file named by the moment, and removes dumps of more than KEEP_DAYS (7) days once the new one is there.
# Connects as pg_dump does: PGHOST, PGPORT, PGUSER, PGPASSWORD or PGPASSFILE; PGDATABASE is sc. For cron:
#   PGHOST=... PGUSER=postgres PGPASSFILE=... deploy/backup.sh /var/backups/sc
set -eu
folder=${1:?the folder for the dumps}
dump="$folder/sc-$(date -u +%Y%m%dT%H%M%SZ).dump"
umask 077
mkdir -p "$folder"
trap 'rm -f "$dump.part"' EXIT
pg_dump --format=custom --file="$dump.part" "${PGDATABASE:-sc}"
# One that cannot be read to its end is no backup; a list of contents stands at its beginning, and half a dump has it.
pg_restore --file=/dev/null "$dump.part"
mv "$dump.part" "$dump"
find "$folder" -maxdepth 1 -name 'sc-*.dump' -mtime "+${KEEP_DAYS:-7}" -exec rm -f {} +
echo "$dump"
