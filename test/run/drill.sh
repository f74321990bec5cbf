# shellcheck shell=bash disable=SC2034  # the other parts read the variables set here
# drill: a private stack of its own, each connection to its servers through a proxy that can cut it,
# two gateways behind an nginx; then test/drill/ breaks one part after the other under load.
#
#   clients --> nginx --> gateway-1, gateway-2 --.
#                         order, stock, payment --+--> proxy --> redis, rabbitmq
#
# The drill has to know how each process died, so it starts them itself: this only writes each
# command to run/<name>.argv, the arguments ended by NUL.

DRILL_PROCESSES=(epmd rabbitmq redis proxy order stock payment gateway-1 gateway-2 nginx)
DRILL_SHIMMED=(redis order stock payment gateway-1 gateway-2) # their clocks and disks can be broken
DRILL_CLIENTS=(gateway-1 gateway-2 order stock payment)
declare -A DRILL_PORTS=()

# In place of process_start.
drill_note() {
    local shim=()
    if [[ " ${DRILL_SHIMMED[*]} " == *" $1 "* ]]; then
        drill_shim "$1"
    fi
    printf '%s\0' "${shim[@]}" "${@:2}" >"$KASSA_VAR/run/$1.argv"
}

# drill_shim NAME: sets `shim` to what preloads it; the files in run/shim/NAME/ control it.
drill_shim() {
    mkdir -p "$KASSA_VAR/run/shim/$1"
    shim=(env "LD_PRELOAD=$KASSA_VAR/run/shim.so" "KASSA_SHIM=$KASSA_VAR/run/shim/$1")
    if [ "$VARIANT" = asan ]; then
        shim+=("ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0")
    fi
}

# drill_port NAME: a free port, and the next call's is another one.
drill_port() {
    port_choose
    DRILL_PORTS[$1]=$PORT_CHOSEN
}

# The servers' own scripts render their configurations and start them; here they only note it.
drill_servers() (
    # shellcheck disable=SC2317  # the two call it
    process_start() { drill_note "$@"; }
    rabbitmq_start
    redis_start
)

# The proxy, with a route for each client and server.
drill_proxy() {
    local client routes=()
    drill_port CONTROL
    for client in "${DRILL_CLIENTS[@]}"; do
        drill_port "$client-redis"
        drill_port "$client-rabbitmq"
        routes+=("$client:redis:${DRILL_PORTS[$client-redis]}:${STATE_KEPT[REDIS_PORT]}"
            "$client:rabbitmq:${DRILL_PORTS[$client-rabbitmq]}:${STATE_KEPT[RABBITMQ_PORT]}")
    done
    drill_note proxy python3 "$KASSA_ROOT/test/drill/proxy.py" "${DRILL_PORTS[CONTROL]}" \
        "${routes[@]}"
}

# drill_service NAME BINARY VARIABLE=..: its servers are the proxy's ports. It runs from a copy, so
# that a build meanwhile does not change what is drilled.
drill_service() {
    local binary=$KASSA_VAR/run/kassa-$2
    cp "$(services_binary "$2")" "$binary"
    drill_plan "$1" "$1" "$binary" "${@:3}"
}

# The same of the previous release: as a further process, or in the place of the gateway NAME.
drill_previous() {
    local binary=$KASSA_VAR/run/kassa-$2-previous
    cp "$(previous_binary "$2")" "$binary"
    drill_plan "$1-previous" "$1" "$binary" "${@:3}"
}

# drill_plan PLAN NAME BINARY VARIABLE=..: it goes the proxy's ways of NAME.
drill_plan() {
    local redis=127.0.0.1:${DRILL_PORTS[$2-redis]}
    drill_note "$1" env "ORDER_REDIS=$redis" "STOCK_REDIS=$redis" "PAYMENT_REDIS=$redis" \
        "SAGA_REDIS=$redis" "RABBITMQ_NODES=127.0.0.1:${DRILL_PORTS[$2-rabbitmq]}" \
        "REDIS_PASSWORD=$STATE_REDIS_PASSWORD" RABBITMQ_USER=kassa RABBITMQ_VHOST=/ \
        "RABBITMQ_PASSWORD=$STATE_RABBITMQ_PASSWORD" HTTP_HOST=127.0.0.1 "${@:4}" "$3"
}

# The audit reads the stores themselves, not through the proxy.
drill_audit() {
    local binary=$KASSA_VAR/run/kassa-audit redis=127.0.0.1:${STATE_KEPT[REDIS_PORT]}
    cp "$(services_binary audit)" "$binary"
    drill_note audit env "ORDER_REDIS=$redis" "STOCK_REDIS=$redis" "PAYMENT_REDIS=$redis" \
        "REDIS_PASSWORD=$STATE_REDIS_PASSWORD" "$binary" --json
}

drill_nginx() {
    local user='' gateways='' name
    if [ "$(id -u)" = 0 ]; then
        user='user root;' # the directory is nobody else's
    fi
    for name in gateway-1 gateway-2; do
        gateways+="server 127.0.0.1:${DRILL_PORTS[$name]} max_fails=1 fail_timeout=1s; "
    done
    state_render "$KASSA_ROOT/deploy/nginx/nginx.conf" "$KASSA_VAR/run/nginx.conf" \
        "USER=$user" "LISTEN=127.0.0.1:${STATE_KEPT[HTTP_PORT]}" "DIR=$KASSA_VAR/run" \
        ACCESS=off RESOLVER=127.0.0.1 AGAIN=gateways "GATEWAYS=$gateways"
    drill_note nginx nginx -c "$KASSA_VAR/run/nginx.conf"
}

drill_plan_previous() {
    local name
    for name in order stock payment; do
        drill_port "$name-previous"
        drill_previous "$name" "$name" "METRICS_PORT=${DRILL_PORTS[$name-previous]}"
    done
    for name in gateway-1 gateway-2; do
        drill_previous "$name" gateway "HTTP_PORT=${DRILL_PORTS[$name]}"
        drill_plan "$name-beside" "$name" "$KASSA_VAR/run/kassa-gateway" \
            "HTTP_PORT=${DRILL_PORTS[$name]}" FRONT_IDS=0
    done
}

drill_write_plan() {
    local name
    for name in order stock payment; do
        drill_service "$name" "$name" "METRICS_PORT=$(services_port "$name")"
    done
    for name in gateway-1 gateway-2; do
        drill_port "$name"
        drill_service "$name" gateway "HTTP_PORT=${DRILL_PORTS[$name]}"
    done
    [ -z "$PREVIOUS_DIR" ] || drill_plan_previous
    drill_audit
    drill_nginx
    {
        for name in "${!STATE_KEPT[@]}"; do
            printf '%s=%s\n' "$name" "${STATE_KEPT[$name]}"
        done
        for name in "${!DRILL_PORTS[@]}"; do
            printf 'PORT_%s=%s\n' "$name" "${DRILL_PORTS[$name]}"
        done
    } >"$KASSA_VAR/run/drill"
}

# Whatever happens, nothing of it runs on: the drill's children die with it; this is for a drill
# that could not say so.
drill_clean() {
    program_end
    program_forget drill "$1"
}

drill_run() {
    local status=0
    case " $* " in
    *' --compose '*)
        compose_drill_run "$@"
        return
        ;;
    esac
    cd "$KASSA_ROOT" || exit 1
    KASSA_VAR=$(mktemp -d "${TMPDIR:-/tmp}/kassa-drill.XXXXXX") || exit 1
    trap 'drill_clean $?' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    trap 'exit 129' HUP
    rings_enter "$KASSA_VAR"
    packages_install "${PACKAGES_BUILD[@]}" "${PACKAGES_RUN[@]}" "${PACKAGES_DRILL[@]}"
    if [ "$KASSA_BUILD" = yes ]; then
        say_step "building"
        services_build all shim || exit 1
    fi
    case " $* " in
    *' --quick '*) ;;
    *) previous_build || say_warn 'the row "versions" is left out' ;;
    esac
    state_choose_ports
    cp "build/$VARIANT/shim.so" "$KASSA_VAR/run/" || exit 1
    drill_servers
    drill_proxy
    drill_write_plan
    PYTHONDONTWRITEBYTECODE=1 KASSA_VAR=$KASSA_VAR python3 test/drill/drill.py "$@" &
    PROGRAM_CHILD=$!
    wait "$PROGRAM_CHILD" || status=$?
    PROGRAM_CHILD=''
    drill_clean "$status"
    return "$status"
}
