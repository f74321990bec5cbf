#!/bin/sh
# Puts containers of a new image in the place of the old ones, one after the other: nobody notices.
#
#   sh deploy/compose/renew.sh [<service>..]      gateway, order, stock and payment, if none is named
#
# Build or pull first. `up` alone would stop all containers of a service at once.
set -eu
cd "$(dirname "$0")/../.."
WAIT_S=120

say() {
    echo "renew.sh: $*" >&2
}

if docker compose version >/dev/null 2>&1; then
    compose() { docker compose "$@"; }
else
    compose() { docker-compose "$@"; }
fi

# Does each container of the service run, and say that it is well?
is_well() {
    for id in $(compose ps -q "$1"); do
        docker inspect -f '{{.State.Status}} {{if .State.Health}}{{.State.Health.Status}}{{end}}' "$id"
    done | awk '$0 != "running healthy" {is_bad = 1} END {exit !NR || is_bad}'
}

wait_well() {
    left=$WAIT_S
    until is_well "$1"; do
        [ "$left" -gt 0 ] || {
            say "$1 is not well after $WAIT_S s: see docker-compose ps, and logs $1"
            exit 1
        }
        left=$((left - 1))
        sleep 1
    done
}

[ $# -gt 0 ] || set -- gateway order stock payment
for service; do
    wait_well "$service" # or this would take the last one that works
    count=$(compose ps -q "$service" | wc -l)
    for id in $(compose ps -q "$service"); do
        say "$service: $(docker inspect -f '{{.Name}}' "$id" | tr -d /)"
        docker stop "$id" >/dev/null
        docker rm "$id" >/dev/null
        compose up -d --no-deps --no-recreate --scale "$service=$count" "$service" >/dev/null 2>&1
        wait_well "$service"
    done
done
say 'done'
