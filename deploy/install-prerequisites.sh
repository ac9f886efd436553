#!/bin/sh
# Installs what building and running needs and is missing; instant when nothing is. With --check also what deploy/check.sh needs.
set -eu

missing=
need() { missing="$missing $1"; }

has_postgres() {
    command -v postgres >/dev/null 2>&1 && return 0
    for bin in /usr/lib/postgresql/*/bin/postgres; do [ -x "$bin" ] && return 0; done
    return 1
}

command -v cc >/dev/null 2>&1 || need gcc
command -v ld.lld >/dev/null 2>&1 || need lld
command -v psql >/dev/null 2>&1 || need postgresql-client
[ -n "${DATABASE_URL:-}" ] || has_postgres || need postgresql
[ -n "${REDIS_URL:-}" ] || command -v redis-server >/dev/null 2>&1 || need redis-server
[ -n "${AMQP_URL:-}" ] || [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ] || need rabbitmq-server
if [ "${1:-}" = "--check" ]; then
    command -v npm >/dev/null 2>&1 || need npm
    python3 -c 'import venv, ensurepip' 2>/dev/null || need python3-venv
fi
[ -n "$missing" ] || exit 0

if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null 2>&1; then
    echo "missing:$missing. On Debian or Ubuntu: sudo apt-get install$missing" >&2
    exit 1
fi

echo "installing:$missing"
# The packages' own services stay off: ours are private instances under .dev/.
policy=/usr/sbin/policy-rc.d
had_policy=
[ -e "$policy" ] && had_policy=1 && mv "$policy" "$policy.kept"
restore() {
    rm -f "$policy"
    [ -z "$had_policy" ] || mv "$policy.kept" "$policy"
}
trap restore EXIT
printf '#!/bin/sh\nexit 101\n' >"$policy"
chmod +x "$policy"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends $missing >/dev/null
