# shellcheck shell=bash
# The private RabbitMQ node, and the epmd (Erlang's name server) that goes with it. Names, ports,
# cookie, data and logs are its own: a system-wide broker is neither used nor noticed.

RABBITMQ_SCRIPTS=/usr/lib/rabbitmq/bin

# Sets RABBITMQ_ENV, all the environment the node gets. What the caller has stays outside: the
# server reads dozens of RABBITMQ_* variables, and those of our services have the same prefix.
rabbitmq_env() {
    local run=$KASSA_VAR/run schedulers=$((($(nproc) + 1) / 2))
    RABBITMQ_ENV=(
        "PATH=$PATH" "HOME=$run/erlang" LC_ALL=C.UTF-8
        "RABBITMQ_NODENAME=${STATE_KEPT[NODE]}@localhost"
        "RABBITMQ_MNESIA_BASE=$KASSA_VAR/data/rabbitmq"
        "RABBITMQ_LOG_BASE=$KASSA_VAR/log"
        "RABBITMQ_LOGS=$KASSA_VAR/log/rabbitmq-node.log"
        "RABBITMQ_CONFIG_FILE=$run/rabbitmq.conf"
        "RABBITMQ_CONFIG_FILES=$run/rabbitmq-config" # no more of them: an empty directory
        "RABBITMQ_ADVANCED_CONFIG_FILE=$run/rabbitmq-advanced.config"
        "RABBITMQ_ENABLED_PLUGINS_FILE=$run/rabbitmq-plugins"
        RABBITMQ_CONF_ENV_FILE=/dev/null
        "RABBITMQ_DIST_PORT=${STATE_KEPT[RABBITMQ_DIST_PORT]}"
        ERL_EPMD_ADDRESS=127.0.0.1
        "ERL_EPMD_PORT=${STATE_KEPT[EPMD_PORT]}"
        "ERL_CRASH_DUMP=$KASSA_VAR/log/erl_crash.dump"
        # The start script becomes the server instead of staying its parent, so its pid is ours.
        RUNNING_UNDER_SYSTEMD=true
        # +sbwt: schedulers that have nothing to do sleep at once instead of spinning. +S: they pass
        # each other work by waking threads, which costs more than it gains when the processors
        # are busy with our services and the stores, too.
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=+S $schedulers:$schedulers \
+sbwt none +sbwtdcpu none +sbwtdio none \
-start_epmd false -kernel inet_dist_use_interface {127,0,0,1}"
    )
}

rabbitmq_start() {
    local run=$KASSA_VAR/run
    (umask 077 && mkdir -p "$KASSA_VAR/data/rabbitmq" "$run/erlang" "$run/rabbitmq-config")
    state_render "$KASSA_ROOT/deploy/native/rabbitmq.conf" "$run/rabbitmq.conf" \
        "PORT=${STATE_KEPT[RABBITMQ_PORT]}" "PASSWORD=$STATE_RABBITMQ_PASSWORD" \
        "MEMORY=${RABBITMQ_MEMORY:-1GB}" "DISK_FREE=${RABBITMQ_DISK_FREE:-200MB}"
    printf '[].\n' >"$run/rabbitmq-plugins"
    printf '[].\n' >"$run/rabbitmq-advanced.config"
    rabbitmq_env
    if ! process_is_up epmd; then
        process_start epmd env -i "${RABBITMQ_ENV[@]}" \
            epmd -address 127.0.0.1 -port "${STATE_KEPT[EPMD_PORT]}"
        until port_is_taken "${STATE_KEPT[EPMD_PORT]}" || ! process_is_up epmd; do
            sleep 0.02
        done
    fi
    process_start rabbitmq env -i "${RABBITMQ_ENV[@]}" "$RABBITMQ_SCRIPTS/rabbitmq-server"
}

# RabbitMQ 3.10 writes the names of its queues' Raft members down every 500 ms (the auto_save of
# ra's names.dets). Killed before that, it comes back with queues that never get a leader. So a
# broker that has just made its first queues is not handed out before.
rabbitmq_settle() {
    local names=("$KASSA_VAR"/data/rabbitmq/*/quorum/*/names.dets)
    if [ ! -e "${names[0]}" ] || [ "$((EPOCHSECONDS - $(stat -c %W "${names[0]}")))" -lt 60 ]; then
        sleep 0.6
    fi
}

# The listener is the last thing a node opens.
rabbitmq_is_ready() {
    port_is_taken "${STATE_KEPT[RABBITMQ_PORT]}"
}
