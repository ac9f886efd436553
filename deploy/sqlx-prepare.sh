#!/bin/sh
# Checks every query against a real schema and writes services/*/.sqlx; called by `make generate` with DATABASE_URL set.
# Names of services as arguments: these alone.
set -eu
cd "$(dirname "$0")/.."
database=sc_queries_$$
server=$DATABASE_URL
export DATABASE_URL="${server%/*}/$database"
psql -Xq "$server" -c "CREATE DATABASE $database"
trap 'psql -Xq "$server" -c "DROP DATABASE $database"' EXIT
psql -Xq "$DATABASE_URL" -c "CREATE SCHEMA extensions; CREATE EXTENSION pg_trgm SCHEMA extensions; CREATE EXTENSION unaccent SCHEMA extensions"
for service in ${*:-auth catalog enrollment notification video-progress exam reporting}; do
    psql -Xq "$DATABASE_URL" -v ON_ERROR_STOP=1 -c "CREATE SCHEMA $(echo "$service" | tr - _)"
    for file in migrations/"$service"/*.sql; do psql -Xq "$DATABASE_URL" -v ON_ERROR_STOP=1 -f "$file"; done
    rm -rf "services/$service/.sqlx"
    mkdir -p "services/$service/.sqlx"
    touch "services/$service/src/lib.rs"
    SQLX_OFFLINE=false SQLX_OFFLINE_DIR="$PWD/services/$service/.sqlx" cargo check --quiet --package "$service"
done
