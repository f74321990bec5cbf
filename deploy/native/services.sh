# shellcheck shell=bash disable=SC2034  # the other parts read the variables set here
# Kassa's own four processes, and the environment with their ports and passwords.

SERVICES=(gateway order stock payment)

services_binary() {
    printf '%s/build/%s/kassa-%s' "$KASSA_ROOT" "$VARIANT" "$1"
}

# Everything else of their configuration they take from the caller's environment as it is.
services_environment() {
    local redis=127.0.0.1:${STATE_KEPT[REDIS_PORT]:-6379}
    local saga_redis=127.0.0.1:${STATE_KEPT[SAGA_REDIS_PORT]:-6379}
    export HTTP_HOST=${STATE_KEPT[HTTP_HOST]:-${HTTP_HOST:-127.0.0.1}}
    export HTTP_PORT=${STATE_KEPT[HTTP_PORT]:-${HTTP_PORT:-$STATE_HTTP_PORT}}
    export ORDER_REDIS=$redis STOCK_REDIS=$redis PAYMENT_REDIS=$redis SAGA_REDIS=$saga_redis
    export REDIS_PASSWORD=$STATE_REDIS_PASSWORD
    export RABBITMQ_NODES=127.0.0.1:${STATE_KEPT[RABBITMQ_PORT]:-5672}
    export RABBITMQ_USER=kassa RABBITMQ_PASSWORD=$STATE_RABBITMQ_PASSWORD RABBITMQ_VHOST=/
}

# services_port NAME: of its /health. The gateway's is also everybody's.
services_port() {
    local variable=HTTP_PORT
    if [ "$1" != gateway ]; then
        variable=${1^^}_METRICS_PORT
    fi
    printf '%s' "${STATE_KEPT[$variable]:-}"
}

# services_build [GOAL..]: the services, or these goals of make.
services_build() {
    local log=$KASSA_VAR/log/build.log
    say_logged "$log" services_make -C "$KASSA_ROOT" VARIANT="$VARIANT" "$@" || {
        say_warn "the build failed, see $(state_short "$log")"
        return 1
    }
}

# One make at a time in a working copy: `up` and `test` may run at once.
services_make() {
    mkdir -p "$KASSA_ROOT/build"
    flock "$KASSA_ROOT/build/.lock" make -j"$(nproc)" "$@"
}

# Starts those that are not up.
services_start() {
    local name
    services_environment
    for name in "${SERVICES[@]}"; do
        if ! process_is_up "$name"; then
            process_start "$name" env METRICS_PORT="$(services_port "$name")" \
                "$(services_binary "$name")"
        fi
    done
}

# Is it up and well? SERVICES_WHY says what is wrong otherwise.
services_is_ready() {
    local host=127.0.0.1 path=/health
    if [ "$1" = gateway ]; then
        host=$(state_http_host)
        path=/ready
    fi
    SERVICES_WHY=down
    process_is_up "$1" || return 1
    SERVICES_WHY='no answer yet'
    http_get "$host" "$(services_port "$1")" "$path" || return 1
    SERVICES_WHY="$path answers $HTTP_STATUS ${HTTP_BODY:0:200}"
    [ "$HTTP_STATUS" = 200 ]
}

# The last warning or error of each: one that waits often waits for another.
services_complaints() {
    local name
    for name in "${SERVICES[@]}"; do
        grep -E ' level=(warn|error) ' "$KASSA_VAR/log/$name.log" 2>/dev/null | tail -n 1 >&2
    done
}

# The gateway drains first, while the others still answer what its clients wait for; then order,
# which needs stock and payment to finish its sagas.
# Returns 1 when one did not end well; SERVICES_REPORT says which and how.
services_stop() {
    local seconds=$((${DRAIN_MS:-10000} / 1000 + 5)) bad=0
    SERVICES_REPORT=''
    process_stop "$seconds" gateway || services_note || bad=1
    process_stop "$seconds" order || services_note || bad=1
    process_stop "$seconds" stock payment || services_note || bad=1
    return "$bad"
}

services_note() {
    SERVICES_REPORT+="${SERVICES_REPORT:+; }$PROCESS_REPORT"
    return 1
}
