#!/bin/sh
# Replaces containers by those of a new image, one after the other: clients do not notice.
#
#   sh deploy/compose/renew.sh [<service>..]      order, payment, stock and gateway, if none is named
#
# Build or pull first. `up` alone would stop all containers of a service at once. The gateways come
# last, also when they are named: readers have to know a new form before writers use it.
#
# Source: docs/protocol.md, "Versions side by side".
set -eu
cd "$(dirname "$0")/../.."
WAIT_S=120
FRONT_S=6 # until nginx knows a gateway that is new

say() {
    echo "renew.sh: $*" >&2
}

if docker compose version >/dev/null 2>&1; then
    compose() { docker compose "$@"; }
else
    compose() { docker-compose "$@"; }
fi

# containers SERVICE: their ids. To ask compose takes seconds.
containers() {
    docker ps -aq --filter "label=com.docker.compose.project=$project" \
        --filter "label=com.docker.compose.service=$1" --filter label=com.docker.compose.oneoff=False
}

# is_well ID: does it run, and does its own check say so? The engine makes that check only now and then.
is_well() (
    test=$(docker inspect -f '{{if .State.Running}}{{with .Config.Healthcheck}}{{range .Test}}{{println .}}{{end}}{{else}}NONE{{end}}{{end}}' "$1")
    id=$1
    set -f
    IFS='
'
    # shellcheck disable=SC2086  # a word on each line
    set -- $test
    kind=${1:-}
    [ $# = 0 ] || shift
    case $kind in
    CMD) docker exec "$id" "$@" ;;
    CMD-SHELL) docker exec "$id" sh -c "$1" ;;
    *) [ "$kind" = NONE ] ;;
    esac
) >/dev/null 2>&1

# wait_well SERVICE: all containers of it.
wait_well() {
    left=$WAIT_S
    for id in $(containers "$1"); do
        until is_well "$id"; do
            [ "$left" -gt 0 ] || {
                say "$1 is not well after $WAIT_S s: see docker-compose ps, and logs $1"
                exit 1
            }
            left=$((left - 1))
            sleep 1
        done
    done
}

# wait_ready SERVICE: before one of its containers is taken away. Of a store, the whole group: all have
# on their disks what they have.
wait_ready() {
    case $1 in
    redis-*-[0-9])
        for number in 1 2 3; do
            wait_well "${1%?}$number"
        done
        ;;
    *) wait_well "$1" ;; # or this would take the last one that works
    esac
}

some=$(compose ps -q | head -n 1)
[ -n "$some" ] || {
    say 'there is nothing to renew: docker-compose up -d starts it'
    exit 1
}
project=$(docker inspect -f '{{index .Config.Labels "com.docker.compose.project"}}' "$some")
[ $# -gt 0 ] || set -- order payment stock gateway
last=''
for service; do
    shift
    if [ "$service" = gateway ]; then
        last=gateway
    else
        set -- "$@" "$service"
    fi
done
[ -z "$last" ] || set -- "$@" "$last"
for service; do
    [ -n "$(containers "$service")" ] || {
        say "there is no container of $service"
        exit 1
    }
    wait_ready "$service"
    count=$(containers "$service" | wc -l)
    for id in $(containers "$service"); do
        say "$service: $(docker inspect -f '{{.Name}}' "$id" | tr -d /)"
        docker stop "$id" >/dev/null
        docker rm "$id" >/dev/null
        compose up -d --no-deps --no-recreate --scale "$service=$count" "$service" >/dev/null 2>&1
        wait_well "$service"
        [ "$service" != gateway ] || sleep "$FRONT_S"
    done
done
say 'done'
