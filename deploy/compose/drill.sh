# shellcheck shell=bash
# drill --compose: the highly available stack as a project of its own, with a network, ports, volumes
# and images of its own; a stack of yours beside it is not touched. The drill runs on the engine's
# machine, for it talks to the containers at their own addresses.

compose_command() {
    docker info >/dev/null 2>&1 || say_die "drill --compose needs a Docker engine that answers"
    if docker compose version >/dev/null 2>&1; then
        COMPOSE='docker compose'
    elif command -v docker-compose >/dev/null; then
        COMPOSE=docker-compose
    else
        say_die "drill --compose needs docker compose, or docker-compose 1.29"
    fi
    [ "$(id -u)" = 0 ] || say_die "drill --compose needs root: it cuts nodes of the broker apart" \
        "inside their network namespaces"
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
    local copy=$KASSA_VAR/stack
    mkdir "$copy" && cp -r docker-compose.yml deploy "$copy" || exit 1
    [ ! -e .env ] || cp .env "$copy"
    COMPOSE+=" -f $copy/docker-compose.yml --project-directory $copy"
}

compose_clean() {
    program_end
    $COMPOSE kill >/dev/null 2>&1
    $COMPOSE down -v -t 1 >/dev/null 2>&1
    program_forget drill "$1"
}

compose_drill_run() {
    local status=0
    cd "$KASSA_ROOT" || exit 1
    compose_command
    KASSA_VAR=$(mktemp -d "${TMPDIR:-/tmp}/kassa-drill.XXXXXX") || exit 1
    export COMPOSE COMPOSE_PROJECT_NAME=kassa-drill-$$ KASSA_IMAGE=kassa-drill KASSA_NET
    export REDIS_ARGS='--enable-debug-command yes'
    trap 'compose_clean $?' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    trap 'exit 129' HUP
    rings_enter "$KASSA_VAR"
    packages_install "${PACKAGES_DRILL_COMPOSE[@]}"
    compose_choose_net
    port_choose
    HTTP_PORT=$PORT_CHOSEN
    port_choose
    HTTP_PORT_2=$PORT_CHOSEN
    export HTTP_PORT HTTP_PORT_2
    say_step "building the image"
    # shellcheck disable=SC2086  # two words, maybe
    say_logged "$KASSA_VAR/log/build.log" $COMPOSE build || exit 1
    compose_copy
    PYTHONDONTWRITEBYTECODE=1 KASSA_VAR=$KASSA_VAR /usr/bin/python3 test/drill/drill.py "$@" &
    PROGRAM_CHILD=$!
    wait "$PROGRAM_CHILD" || status=$?
    PROGRAM_CHILD=''
    compose_clean "$status"
    return "$status"
}
