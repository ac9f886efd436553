#!/usr/bin/env bash
# Makes the secrets that compose.yaml mounts, once: a file that exists is left as it is.
# The folder is closed to others (0700); the files are readable (0444), because each container mounts only its own
# and runs under an unprivileged id that differs from the id on the host.
set -euo pipefail
cd "$(dirname "$0")"
folder=${1:-secrets}
mkdir -p "$folder"
chmod 0700 "$folder"

random() { od -An -N"$1" -tx1 /dev/urandom | tr -d ' \n'; }

# put NAME VALUE
put() {
    [ -s "$folder/$1" ] && return 0
    printf '%s' "$2" >"$folder/$1.new"
    chmod 0444 "$folder/$1.new"
    mv "$folder/$1.new" "$folder/$1"
}

get() { cat "$folder/$1"; }

put postgres_password "$(random 24)"
put redis_password "$(random 24)"
put rabbitmq_password "$(random 24)"
put redis_url "redis://:$(get redis_password)@redis:6379/0"
put redis_conf "requirepass $(get redis_password)
"
put amqp_url "amqp://sc:$(get rabbitmq_password)@rabbitmq:5672/%2f"
put rabbitmq_conf "default_user = sc
default_pass = $(get rabbitmq_password)
"
for service in auth catalog enrollment notification video_progress exam reporting; do
    put "${service}_database_password" "$(random 24)"
    put "${service}_database_url" "postgres://sc_${service}:$(get "${service}_database_password")@postgres:5432/sc"
done
for process in gateway catalog enrollment notification video_progress exam reporting; do
    put "${process}_service_secret" "$(random 32)"
done
# One for all processes: seals page tokens.
put page_token_key "$(random 32)"
# 32 bytes in base64: encrypt the signing keys, and the secrets of webhooks, at rest.
for service in auth notification; do
    put "${service}_encryption_key" "$(head -c 32 /dev/urandom | base64 | tr -d '\n')"
done
echo "secrets are in $(cd "$folder" && pwd)"
