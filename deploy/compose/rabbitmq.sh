#!/bin/sh
# Starts a node of the broker's cluster, with the cookie of this installation and a user for each
# service. The consumer of a queue declares and reads it; every service may send to all of them.
#
#   rabbitmq.sh <name of each node of the cluster> ..
set -eu
umask 077
secrets=/run/kassa
BOOT_SECONDS=${BOOT_SECONDS:-120}

# bytes HEX: what the digits stand for.
bytes() {
    for two in $(echo "$1" | sed 's/../& /g'); do
        # shellcheck disable=SC2059  # the format is the byte
        printf "\\$(printf %03o "0x$two")"
    done
}

# hash PASSWORD: salt and SHA-256 of salt and password, base64 (RabbitMQ manual: Credentials and
# Passwords). The salt follows from the password, so that each start says the same.
hash() {
    salt=$(printf 'salt %s' "$1" | sha256sum | cut -c1-8)
    digest=$({ bytes "$salt"; printf %s "$1"; } | sha256sum | cut -d' ' -f1)
    bytes "$salt$digest" | base64 -w0
}

# user NAME SECRET TAGS
user() {
    printf '{"name":"%s","password_hash":"%s","hashing_algorithm":"%s","tags":"%s"}' \
        "$1" "$(hash "$(cat "$secrets/$2")")" rabbit_password_hashing_sha256 "$3"
}

# permission USER CONFIGURE WRITE READ
permission() {
    printf '{"user":"%s","vhost":"/","configure":"%s","write":"%s","read":"%s"}' "$@"
}

# consumer USER QUEUES: its queues, their parked ones, and the way from one to the other.
consumer() {
    permission "$1" "^kassa\\\\.(dead|($2)(\\\\.parked)?)\$" \
        "^(amq\\\\.default|kassa\\\\.(dead|($2)\\\\.parked))\$" "^kassa\\\\.(dead|$2)\$"
}

definitions() {
    printf '{"vhosts":[{"name":"/"}],"users":[%s' "$(user kassa rabbitmq_password administrator)"
    for name in gateway order stock payment; do
        printf ',%s' "$(user "$name" "rabbitmq_$name" '')"
    done
    printf '],"permissions":[%s,%s,%s,%s,%s]}\n' "$(permission kassa '.*' '.*' '.*')" \
        "$(permission gateway '^$' '^amq\\.default$' '^$')" \
        "$(consumer order 'order|saga')" "$(consumer stock stock)" "$(consumer payment payment)"
}

# A node that does not listen by then has hung (seen: 3.10 in its feature flags). Nobody waits for
# it, so it ends the hard way, and the engine starts it anew.
watch() {
    for _ in $(seq "$BOOT_SECONDS"); do
        sleep 1
        if bash -c 'exec 3<>/dev/tcp/127.0.0.1/5672' 2>/dev/null; then
            return
        fi
    done
    echo "rabbitmq.sh: no listener $BOOT_SECONDS s after the start: starting anew" >&2
    kill -KILL -1
}

cp "$secrets/erlang_cookie" /tmp/.erlang.cookie
chmod 0400 /tmp/.erlang.cookie
definitions >/tmp/definitions.json
{
    cat /etc/kassa/rabbitmq.conf
    number=0
    for node; do
        echo "cluster_formation.classic_config.nodes.$((number += 1)) = rabbit@$node"
    done
} >/tmp/rabbitmq.conf
printf '[%s].\n' "${PLUGINS:-}" >/tmp/enabled_plugins
# net_ticktime: a node that was cut off is missed after 10 s, not 60; until then nobody decides.
# RABBITMQ_CONFIG_FILES: the official image's own, which would outrank ours.
export RABBITMQ_CONFIG_FILE=/tmp/rabbitmq.conf RABBITMQ_CONFIG_FILES=/tmp/none.conf \
    RABBITMQ_LOGS=- ERL_CRASH_DUMP_BYTES=1000000 \
    RABBITMQ_MNESIA_BASE=/var/lib/rabbitmq/mnesia RABBITMQ_LOG_BASE=/tmp \
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='+sbwt none +sbwtdcpu none +sbwtdio none -kernel net_ticktime 10'
# Erlang has a table of as many descriptors as it may open: a thousand million, on some engines.
# shellcheck disable=SC3045  # the shells of both images have it
ulimit -n 65536 2>/dev/null || true
watch &
exec rabbitmq-server
