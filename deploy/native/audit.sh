# shellcheck shell=bash
# audit: the proof from the stores alone. If Redis is down this starts it on its data, alone, and
# stops it again: nothing else runs then, so nothing can move.

AUDIT_STATUS=2 # could not run, until the audit itself says otherwise
AUDIT_HAS_STARTED=no

audit_end() {
    trap - EXIT
    trap '' INT TERM HUP
    if [ "$AUDIT_HAS_STARTED" = yes ]; then
        process_stop 30 redis || say_warn "$PROCESS_REPORT"
    fi
    exit "$AUDIT_STATUS"
}

audit_start_redis() {
    state_lock
    if process_is_up redis; then
        return
    fi
    if [ -z "${STATE_KEPT[REDIS_PORT]:-}" ] || port_is_taken "${STATE_KEPT[REDIS_PORT]}"; then
        port_choose
        STATE_KEPT[REDIS_PORT]=$PORT_CHOSEN
        state_save
    fi
    AUDIT_HAS_STARTED=yes
    redis_start
}

# audit_run [--json]
audit_run() {
    trap audit_end EXIT
    trap 'exit 2' INT TERM HUP
    if [ ! -d "$KASSA_VAR/data/redis" ]; then
        say_die "there is nothing to audit: $(state_short "$KASSA_VAR")/data/redis does not exist"
    fi
    state_open
    if [ ! -x "$(services_binary audit)" ]; then
        packages_install "${PACKAGES_BUILD[@]}" >&2
        services_build >&2 || exit 2
    fi
    state_secrets make
    if ! process_is_up redis; then
        audit_start_redis
    fi
    up_wait redis "$UP_SECONDS" redis_is_ready || exit 2
    services_environment
    AUDIT_STATUS=0
    "$(services_binary audit)" "$@" || AUDIT_STATUS=$?
    if ((AUDIT_STATUS > 2)); then # a signal, say
        AUDIT_STATUS=2
    fi
    exit "$AUDIT_STATUS"
}
