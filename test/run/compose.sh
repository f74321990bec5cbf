# shellcheck shell=bash
# The highly available stack as a project of its own, for the drill and the tests: a network, ports,
# volumes and an image of its own; a stack of yours beside it is not touched. Who uses it runs on the
# engine's machine, as root, for it talks to containers at their own addresses.

compose_command() {
    docker info >/dev/null 2>&1 || say_die "this needs a Docker engine that answers"
    if docker compose version >/dev/null 2>&1; then
        COMPOSE='docker compose'
    elif command -v docker-compose >/dev/null; then
        COMPOSE=docker-compose
    else
        say_die "this needs docker compose, or docker-compose 1.29"
    fi
    [ "$(id -u)" = 0 ] || say_die "this needs root: it looks into containers, and cuts them off"
}

# A network that no other one here has, as the first three numbers of its addresses.
compose_choose_net() {
    local taken number
    # shellcheck disable=SC2046  # one word for each network
    taken=$(docker network inspect -f '{{range .IPAM.Config}}{{.Subnet}} {{end}}' \
        $(docker network ls -q); ip route)
    for number in $(seq 20 250); do
        KASSA_NET=10.57.$number
        if [[ $taken != *"$KASSA_NET."* ]]; then
            return
        fi
    done
    say_die "no network of 10.57.20.0/24 to 10.57.250.0/24 is free"
}

# The scripts that containers mount are copies, so that an edit meanwhile changes nothing.
compose_copy() {
    COMPOSE_HOME=$KASSA_VAR/stack
    mkdir "$COMPOSE_HOME" && cp -r docker-compose*.yml deploy "$COMPOSE_HOME" || exit 1
    [ ! -e .env ] || cp .env "$COMPOSE_HOME"
    export COMPOSE_FILE=$COMPOSE_HOME/docker-compose.yml
}

# compose_open NAME: all but `up`. KASSA_VAR is its directory.
compose_open() {
    local name
    compose_command
    export COMPOSE COMPOSE_HOME COMPOSE_PROJECT_NAME=kassa-$1-$$ KASSA_IMAGE=kassa-$1 KASSA_NET
    export REDIS_ARGS='--enable-debug-command yes'
    packages_install "${PACKAGES_CONTAINERS[@]}"
    compose_choose_net
    export HTTP_PORT HTTP_PORT_2 PROMETHEUS_PORT SMALL_PORT
    for name in HTTP_PORT HTTP_PORT_2 PROMETHEUS_PORT SMALL_PORT; do
        port_choose
        printf -v "$name" %s "$PORT_CHOSEN"
    done
    say_step "building the image"
    # shellcheck disable=SC2086  # two words, maybe
    say_logged "$KASSA_VAR/log/build.log" $COMPOSE build || exit 1
    compose_copy
}

# Whatever has become of it, and whether it was opened or not.
compose_close() {
    if [ -n "${COMPOSE_HOME:-}" ]; then
        $COMPOSE kill >/dev/null 2>&1
        $COMPOSE --profile metrics down -v -t 1 >/dev/null 2>&1
    fi
}
