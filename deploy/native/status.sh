# shellcheck shell=bash
# status and config: what runs, and with which settings.

# status_row NAME PORT STATE
status_row() {
    local since=-
    if [ -n "$PROCESS_PID" ] && [ "$3" != down ]; then
        printf -v since '%(%F %T)T' "$PROCESS_SINCE"
    else
        PROCESS_PID=-
    fi
    printf '%-10s %-10s %8s %6s  %s\n' "$1" "$3" "$PROCESS_PID" "${2:--}" "$since"
}

status_run() {
    local name port state bad=0
    declare -A state_of=([redis]=redis_is_ready [saga_redis]=saga_redis_is_ready [rabbitmq]=rabbitmq_is_ready)
    state_open
    state_secrets
    printf '%-10s %-10s %8s %6s  %s\n' process state pid port since
    for name in "${SERVICES[@]}"; do
        state=up
        services_is_ready "$name" || state='not ready'
        process_is_up "$name" || state=down
        status_row "$name" "$(services_port "$name")" "$state"
        [ "$state" = up ] || bad=1
        if [ "$state" = 'not ready' ]; then
            printf '           %s\n' "$SERVICES_WHY"
        fi
    done
    for name in redis saga_redis rabbitmq epmd; do
        port=${STATE_KEPT[${name^^}_PORT]:-}
        state=down
        if process_is_up "$name"; then
            state=up
            "${state_of[$name]:-true}" || state='not ready'
        fi
        process_is_up "$name" || state=down
        status_row "$name" "$port" "$state"
        [ "$state" = up ] || bad=1
    done
    if [ "$bad" = 0 ]; then
        printf '\nup at %s\n' "$(state_url)"
    fi
    return "$bad"
}

# The variables of the front door itself: name, effective value, meaning.
config_row() {
    printf '%-22s %-24s %s\n' "$1" "$2" "$3"
}

# config_port NAME MEANING: a port that is any free one unless given.
config_port() {
    config_row "$1" "${STATE_KEPT[$1]:-${!1:-chosen at the first start}}" "$2"
}

# config_of SERVICE..: their variables, each once, with its value and who reads it.
config_of() {
    local name text=''
    for name in "$@"; do
        text+="=$name"$'\n'$("$(services_binary "$name")" --config)$'\n' || return
    done
    printf '%s' "$text" | LC_ALL=C awk '
        function cell(at, end) {
            text = substr($0, at, end - at)
            sub(/ +$/, "", text)
            return text
        }
        function wider(column, text) {
            width[column] = length(text) > width[column] ? length(text) : width[column]
        }
        function put(mark, variable, value, usual, readers, what) {
            printf "%s %-*s  %-*s  %-*s  %-*s  %s\n", mark, width["variable"], variable,
                width["value"], value, width["usual"], usual, width["readers"], readers, what
        }
        /^=/ { name = substr($0, 2); names++; next }
        /^$|^[*] differs/ { next }
        /^  variable / {
            value_at = index($0, " value ") + 1
            usual_at = index($0, " default ") + 1
            what_at = index($0, " what it is") + 1
            next
        }
        {
            variable = $1 == "*" ? $2 : $1
            if (!(variable in what)) {
                order[++count] = variable
                mark[variable] = substr($0, 1, 1)
                value[variable] = cell(value_at, usual_at)
                usual[variable] = cell(usual_at, what_at)
                what[variable] = substr($0, what_at)
            }
            readers[variable] = readers[variable] (readers[variable] ? "," : "") name
            readings[variable]++
        }
        END {
            wider("variable", "variable")
            wider("value", "value")
            wider("usual", "default")
            wider("readers", "read by")
            for (i = 1; i <= count; i++) {
                variable = order[i]
                readers[variable] = readings[variable] == names ? "all" : readers[variable]
                wider("variable", variable)
                wider("value", value[variable])
                wider("usual", usual[variable])
                wider("readers", readers[variable])
            }
            put(" ", "variable", "value", "default", "read by", "what it is")
            for (i = 1; i <= count; i++) {
                variable = order[i]
                put(mark[variable], variable, value[variable], usual[variable], readers[variable],
                    what[variable])
            }
            print "* differs from the default"
        }'
}

config_run() {
    local name
    state_open
    state_secrets
    if [ ! -x "$(services_binary order)" ]; then
        packages_install "${PACKAGES_BUILD[@]}"
        services_build || return
    fi
    services_environment
    config_of "${SERVICES[@]}" || return
    printf '\nThe private servers of ./kassa up, on 127.0.0.1; a port of 0 is any free one:\n'
    config_port REDIS_PORT 'port of the Redis of orders, items and users'
    config_port SAGA_REDIS_PORT 'port of the Redis of idempotency keys and notices'
    config_row REDIS_MAXMEMORY "${REDIS_MAXMEMORY:-$(redis_maxmemory 2)}" \
        'memory it may fill before it refuses writes'
    config_port RABBITMQ_PORT 'AMQP port of the broker'
    config_port RABBITMQ_DIST_PORT 'its port for rabbitmqctl'
    config_port EPMD_PORT 'its name server'
    config_row RABBITMQ_MEMORY "${RABBITMQ_MEMORY:-1GB}" 'memory above which publishers wait'
    config_row RABBITMQ_DISK_FREE "${RABBITMQ_DISK_FREE:-200MB}" \
        'free disk below which publishers wait'
    printf '\nThe front door:\n'
    for name in "${SERVICES_CONSUMERS[@]}"; do
        config_port "${name^^}_METRICS_PORT" "METRICS_PORT of the $name service"
    done
    config_row KASSA_VAR "$KASSA_VAR" 'data, logs, pid files; another one is another system'
    config_row VARIANT "$VARIANT" 'build to run: release, asan or crash'
    config_row KASSA_BUILD "$KASSA_BUILD" 'yes: up builds first; no: it starts what is there'
    config_row UP_SECONDS "$UP_SECONDS" 'time each process has to become ready'
    config_row TEST_SECONDS "$TEST_SECONDS" 'time each test program has'
}
