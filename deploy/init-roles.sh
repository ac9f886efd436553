#!/bin/sh
# Runs once, when the PostgreSQL volume is empty: creates one login role and one schema per service.
set -eu
password() { cat "/run/secrets/$1_database_password"; }
psql --no-psqlrc --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" \
    --set role_prefix=sc_ \
    --set auth_password="$(password auth)" \
    --set catalog_password="$(password catalog)" \
    --set enrollment_password="$(password enrollment)" \
    --set notification_password="$(password notification)" \
    --set video_progress_password="$(password video_progress)" \
    --set exam_password="$(password exam)" \
    --set reporting_password="$(password reporting)" \
    --file /etc/sc/roles.sql
