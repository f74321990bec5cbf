# shellcheck shell=bash disable=SC2034  # the other parts read the variables set here
# up and down: the whole private system, from nothing to ready and back.
#
#   packages -> ports, passwords -> redis, rabbitmq (they start while we compile)
#            -> make -> both ready -> the services -> all ready

UP_PROCESSES=("${SERVICES[@]}" redis saga_redis rabbitmq epmd)

up_is_complete() {
    local name
    for name in "${UP_PROCESSES[@]}"; do
        process_is_up "$name" || return 1
    done
    for name in "${SERVICES[@]}"; do
        services_is_ready "$name" || return 1
    done
}

# Waits until COMMAND succeeds; when the process dies first, or time is up, says why and fails.
# up_wait NAME SECONDS COMMAND..
up_wait() {
    local name=$1 limit=$((EPOCHSECONDS + $2)) log=$KASSA_VAR/log/$1.log
    shift 2
    SERVICES_WHY=''
    until "$@"; do
        if ! process_is_up "$name"; then
            say_tail "$log"
            say_warn "$name did not start, see $(state_short "$log")"
            return 1
        fi
        if ((EPOCHSECONDS >= limit)); then
            say_tail "$log"
            say_warn "$name is up but not ready in time${SERVICES_WHY:+ ($SERVICES_WHY)}," \
                "see $(state_short "$log")"
            return 1
        fi
        sleep 0.1
    done
}

# The servers; what is up already stays as it is. Their waiting is up_servers_wait's.
up_servers_start() {
    if ! process_is_up rabbitmq; then
        rabbitmq_start
    fi
    if ! process_is_up redis; then
        redis_start
    fi
    if ! process_is_up saga_redis; then
        saga_redis_start
    fi
}

up_servers_wait() {
    up_wait redis "$UP_SECONDS" redis_is_ready || return 1
    up_wait saga_redis "$UP_SECONDS" saga_redis_is_ready || return 1
    say_step "redis is ready on 127.0.0.1:${STATE_KEPT[REDIS_PORT]}"
    up_wait rabbitmq "$UP_SECONDS" rabbitmq_is_ready || return 1
    say_step "rabbitmq is ready on 127.0.0.1:${STATE_KEPT[RABBITMQ_PORT]}"
}

up_services() {
    local name
    services_environment
    config_of "${SERVICES[@]}" >"$KASSA_VAR/log/config.log" 2>&1 || {
        cat "$KASSA_VAR/log/config.log" >&2
        return 1
    }
    services_start
    for name in "${SERVICES_CONSUMERS[@]}" gateway; do
        up_wait "$name" "$UP_SECONDS" services_is_ready "$name" || {
            services_complaints
            return 1
        }
    done
    say_step "$(services_list "${SERVICES[@]}") are ready"
}

# A failed start keeps what it has, so that the next one is quick; but nothing runs on unseen.
up_fail() {
    say_die "what was started is left running: ./kassa status shows it, ./kassa down stops it"
}

up_run() {
    state_open
    state_lock
    state_secrets make
    if up_is_complete && [ -z "$(up_port_differs)" ]; then
        say_step "Kassa is already up at $(state_url)"
        return
    fi
    packages_install "${PACKAGES_BUILD[@]}" "${PACKAGES_RUN[@]}"
    state_choose_ports
    say_step "starting redis and rabbitmq"
    up_servers_start
    if [ "$KASSA_BUILD" = yes ]; then
        say_step "building"
        services_build || up_fail
    fi
    up_servers_wait || up_fail
    up_services || up_fail
    rabbitmq_settle
    say_step "Kassa is up at $(state_url)"
    printf '\nTry it:\n  curl -X POST %s/payment/create_user\n' "$(state_url)"
    printf '  curl %s/health\n\n' "$(state_url)"
    printf './kassa status shows what runs, ./kassa down stops it. Logs: %s\n' \
        "$(state_short "$KASSA_VAR/log")"
}

# The name of a port that the environment wants elsewhere than it is.
up_port_differs() {
    local variable
    for variable in "${!STATE_PORTS[@]}"; do
        if [ "$((10#${!variable:-0}))" != 0 ] &&
            [ "$((10#${!variable:-0}))" != "${STATE_KEPT[$variable]:-}" ]; then
            printf '%s\n' "$variable"
        fi
    done
}

# Stops all that runs, quietly. Returns 1 when something did not end well; DOWN_REPORT says what.
down_all() {
    local bad=0
    DOWN_REPORT=''
    services_stop || bad=1
    DOWN_REPORT=$SERVICES_REPORT
    process_stop 30 redis saga_redis rabbitmq || {
        bad=1
        DOWN_REPORT+="${DOWN_REPORT:+; }$PROCESS_REPORT"
    }
    # Nobody waits for the name server once its only node is gone, and TERM is all it knows.
    process_stop 5 epmd || true
    return "$bad"
}

down_run() {
    local name any=no status=0
    state_open
    state_lock
    for name in "${UP_PROCESSES[@]}"; do
        if process_is_up "$name"; then
            any=yes
        fi
    done
    if [ "$any" = yes ]; then
        printf -v name '%s, ' "${UP_PROCESSES[@]}"
        say_step "stopping: ${name%, }"
    fi
    down_all || {
        status=1
        say_warn "$DOWN_REPORT"
    }
    # The next start asks for 8000 again, unless told otherwise.
    unset 'STATE_KEPT[HTTP_PORT]' 'STATE_KEPT[HTTP_HOST]'
    state_save
    if [ "${1:-}" = --wipe ]; then
        rm -rf "$KASSA_VAR/data" "$KASSA_VAR/run/secrets" "$KASSA_VAR/run/erlang"
        say_step "Kassa is down, its data deleted"
    else
        say_step "Kassa is down; its data stays in $(state_short "$KASSA_VAR/data")"
    fi
    return "$status"
}
