# shellcheck shell=bash disable=SC2034  # the other parts read the variables set here
# What is remembered between two calls, all of it under $KASSA_VAR (var/):
#
#   data/redis data/saga_redis
#   data/rabbitmq               what was sold and paid; only `down --wipe` deletes it
#   run/ports                   ports and node name, kept so that a restart finds them again
#   run/secrets                 passwords of the private servers, made at the first start
#   run/<process>.pid           pid and start time
#   log/<process>.log           one logfmt line for each event
#
# KASSA_VAR may be elsewhere: that is another, independent system (the tests are one).

# The variable of each port, and the process that holds it. Services add that of their metrics.
declare -A STATE_PORTS=(
    [HTTP_PORT]=gateway
    [REDIS_PORT]=redis
    [SAGA_REDIS_PORT]=saga_redis
    [RABBITMQ_PORT]=rabbitmq
    [RABBITMQ_DIST_PORT]=rabbitmq
    [EPMD_PORT]=epmd
)
declare -A STATE_KEPT=() # what run/ports says
STATE_HTTP_PORT=8000

# A path as a person at the root of the repository would write it.
state_short() {
    printf '%s' "${1#"$KASSA_ROOT"/}"
}

state_open() {
    local variable line
    if [[ $KASSA_VAR =~ [[:space:]\"\'\\] ]]; then
        say_die "the directory '$KASSA_VAR' has a blank or a quote in its name; RabbitMQ" \
            "does not start in such a one: move it, or name another by KASSA_VAR"
    fi
    if ! (umask 077 && mkdir -p "$KASSA_VAR"/{data,run,log}) 2>/dev/null ||
        [ ! -w "$KASSA_VAR/run" ] || [ ! -w "$KASSA_VAR/log" ]; then
        say_die "user $(id -un) cannot write to '$KASSA_VAR'; name another directory by KASSA_VAR"
    fi
    for variable in "${!STATE_PORTS[@]}"; do
        if [[ ! ${!variable:-0} =~ ^[0-9]{1,5}$ ]] || ((10#${!variable:-0} > 65535)); then
            say_die "$variable is '${!variable}'; allowed is 1 to 65535, or 0 for any free port"
        fi
    done
    if [ -f "$KASSA_VAR/run/ports" ]; then
        while IFS= read -r line; do
            STATE_KEPT[${line%%=*}]=${line#*=}
        done <"$KASSA_VAR/run/ports"
    fi
}

# One `up` or `down` at a time. Held until this shell ends.
state_lock() {
    exec 9>"$KASSA_VAR/run/lock"
    if ! flock -n 9; then
        say_step "waiting for another ./kassa that is at work here"
        flock -w 600 9 || say_die "another ./kassa has been at work here for ten minutes"
    fi
}

state_save() {
    local name
    for name in "${!STATE_KEPT[@]}"; do
        printf '%s=%s\n' "$name" "${STATE_KEPT[$name]}"
    done | sort >"$KASSA_VAR/run/ports.new"
    mv "$KASSA_VAR/run/ports.new" "$KASSA_VAR/run/ports"
}

# Decides each port: that of a running process; else what the environment says; else the
# remembered one; else a free one (8000 for HTTP).
state_choose_ports() {
    local variable given kept
    for variable in "${!STATE_PORTS[@]}"; do
        given=$((10#${!variable:-0}))
        kept=${STATE_KEPT[$variable]:-}
        if [ -n "$kept" ] && process_is_up "${STATE_PORTS[$variable]}"; then
            if [ "$given" != 0 ] && [ "$given" != "$kept" ]; then
                say_die "${STATE_PORTS[$variable]} is running with $variable=$kept;" \
                    "$variable=$given takes effect after ./kassa down"
            fi
            continue
        fi
        if [ "$variable" = HTTP_PORT ] && [ -z "${HTTP_PORT:-}" ]; then
            given=${kept:-$STATE_HTTP_PORT}
        fi
        if [ "$given" != 0 ]; then
            ! port_is_taken "$given" ||
                say_die "port $given is taken by another program;" \
                    "choose another one: $variable=<port> ./kassa up"
            STATE_KEPT[$variable]=$given
        elif [ -z "$kept" ] || port_is_taken "$kept"; then
            port_choose
            STATE_KEPT[$variable]=$PORT_CHOSEN
        fi
    done
    # A name of its own for each directory; kept with the data, which is filed under it.
    : "${STATE_KEPT[NODE]:=kassa-$(printf '%s' "$KASSA_VAR" | sha256sum | cut -c1-12)}"
    : "${STATE_KEPT[HTTP_HOST]:=127.0.0.1}"
    if ! process_is_up gateway; then
        STATE_KEPT[HTTP_HOST]=${HTTP_HOST:-127.0.0.1}
    fi
    state_save
}

# Where a client on this machine reaches the gateway.
state_http_host() {
    case ${STATE_KEPT[HTTP_HOST]:-} in
    '' | 0.0.0.0 | ::) printf '127.0.0.1' ;;
    *) printf '%s' "${STATE_KEPT[HTTP_HOST]}" ;;
    esac
}

state_url() {
    printf 'http://%s:%s' "$(state_http_host)" "${STATE_KEPT[HTTP_PORT]:-$STATE_HTTP_PORT}"
}

# Reads the passwords, and makes them when `make` is given and there are none yet.
state_secrets() {
    local file=$KASSA_VAR/run/secrets name
    if [ ! -s "$file" ] && [ "${1:-}" = make ]; then
        if [ -d "$KASSA_VAR/data/rabbitmq" ]; then
            say_die "$(state_short "$file") is gone, and the broker's data answers only to the" \
                "password in it; ./kassa down --wipe starts anew"
        fi
        (
            umask 077
            for name in REDIS_PASSWORD RABBITMQ_PASSWORD; do
                printf '%s=%s\n' "$name" "$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')"
            done >"$file.new"
        )
        mv "$file.new" "$file"
    fi
    STATE_REDIS_PASSWORD=$(sed -n 's/^REDIS_PASSWORD=//p' "$file" 2>/dev/null)
    STATE_RABBITMQ_PASSWORD=$(sed -n 's/^RABBITMQ_PASSWORD=//p' "$file" 2>/dev/null)
}

# state_render TEMPLATE FILE NAME=VALUE..: replaces each @NAME@; only the owner can read the file.
state_render() {
    local text file=$2 pair
    text=$(<"$1")
    shift 2
    for pair; do
        text=${text//"@${pair%%=*}@"/"${pair#*=}"}
    done
    (umask 077 && printf '%s\n' "$text" >"$file.new")
    mv "$file.new" "$file"
}
