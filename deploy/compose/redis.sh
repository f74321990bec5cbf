#!/bin/sh
# Starts one node of a Redis group, and takes care of it.
#
#   redis.sh <group> <own address> <those of the other nodes>..
#   redis.sh all         one server for all groups, alone
#   redis.sh well        exit status 0: the master, or a replica whose file holds what it acknowledges
#   redis.sh trust       an operator declares this node's data to be the truth
#
# Only a majority of the Sentinels says who the master is: this node may have missed a promotion, and
# its data may be older than what was answered. They begin with the group's first node. copy.sh says
# when a node is master, or may become one.
#
# Source: docs/protocol.md, "A node that starts".
set -eu
DATA=${KASSA_DATA:-/data}
RUN=${KASSA_RUN:-/tmp}        # what is written here is gone when the container is
SELF=${KASSA_SELF:-127.0.0.1} # where this node's own server is reached
SECRETS=${KASSA_SECRETS:-/run/kassa}
PORT=${REDIS_PORT:-6379}
here=$(dirname "$0")
group=$1
password=$(cat "$SECRETS/redis_password")
conf=$RUN/redis.conf

say() {
    echo "redis.sh: $*" >&2
}

# ask SENTINEL WORD..: its answer to a question about this group.
ask() {
    sentinel=$1
    shift
    timeout 1 redis-cli -h "${sentinel%:*}" -p "${sentinel#*:}" SENTINEL "$@" "$group" 2>/dev/null || true
}

# The master's address, when two of the Sentinels name the same.
known_master() {
    said=' '
    for one in $SENTINELS; do
        named=$(ask "$one" GET-MASTER-ADDR-BY-NAME)
        named=${named%%[!0-9.]*} # a line each for address and port
        case $named in *.*) ;; *) continue ;; esac
        case $said in
        *" $named "*)
            echo "$named"
            return
            ;;
        esac
        said="$said$named "
    done
}

# Do two of the Sentinels know the group, and none of them a replica? Their silence says nothing.
is_new() {
    for one in $SENTINELS; do
        ask "$one" MASTER
    done | awk 'is_count {told++; n += $1} {is_count = $1 == "num-slaves"}
        END {exit !(told >= 2 && n == 0)}'
}

is_alone() {
    [ "$group" = all ]
}

case $group in
well)
    case $(cat "$RUN/state") in
    master | sure | alone) ;;
    *) exit 1 ;;
    esac
    REDISCLI_AUTH=$password redis-cli -h "$SELF" -p "$PORT" PING | grep -q PONG
    exit
    ;;
trust)
    touch "$RUN/trust"
    exit
    ;;
all) ;;
*)
    own=$2
    shift 2
    others=$*
    ;;
esac

# may NAME KEYS COMMANDS: a user for one service. What a function does is done as its caller.
may() {
    echo "user $1 on >$(cat "$SECRETS/redis_$1") ~$2 $3 +auth +hello +ping +role"
}

# serve NAME KEYS COMMANDS: .. that waits for the replicas (store/flight.h), and tells gateways.
serve() {
    kept=' %R~kassa:copy'
    [ "$2" != '*' ] || kept='' # it has that, too
    may "$1" "$2$kept" "&kassa.* $3 $wait +publish +hget"
}

# Redis 7.2, Valkey: store/flight.h asks for files then. Older ones refuse a user who may do what
# they do not know.
knows_waitaof() {
    redis-server --version | sed 's/.* v=\([0-9]*\)[.]\([0-9]*\).*/\1 \2/' | {
        read -r major minor
        [ $((major * 100 + minor)) -ge 702 ]
    }
}

# Services: their own group, and of the others' what they need. The default user is for replicas,
# Sentinels and operators.
users() {
    may metrics nothing '+info +slowlog|get +slowlog|len +latency|latest +client|setname'
    data='+@read +@write -@dangerous -function +info'
    own_data="$data +fcall +time +function|load +function|delete"
    # It waits for the replicas as well, so it tells nobody something.
    wait='+wait'
    if knows_waitaof; then
        wait='+wait +waitaof'
    fi
    look="+@read -@dangerous +info +time +@transaction $wait +publish &kassa.nobody"
    # What a service says to all, in the store of the keys: which records are needed (consumer/keep.h), and
    # that its memory is short (store/memory.h).
    said='kassa:keep ~kassa:short:*'
    case $group in
    order)
        serve order 'order:*' "$own_data"
        serve gateway 'order:*' "$data +fcall +time +function|load"
        ;;
    stock | payment) serve "$group" "$group:*" "$own_data" ;;
    all)
        serve order "order:* ~$said" "$own_data"
        serve gateway '*' "$own_data +subscribe"
        serve stock "stock:* ~$said" "$own_data"
        serve payment "payment:* ~$said" "$own_data"
        may audit '*' "$look"
        return
        ;;
    saga)
        serve gateway '*' "$own_data +subscribe"
        for name in order stock payment; do
            serve "$name" "$said" '+get +set +time +info'
        done
        return
        ;;
    esac
    may audit "$group:* %R~kassa:copy" "$look"
}

# An even part of half of the machine's memory; full means refused, not killed.
memory() {
    awk -v servers="$([ "$group" = all ] && echo 1 || echo 12)" \
        '/^MemTotal:/ {printf "%dkb\n", $2 / 2 / servers}' /proc/meminfo
}

umask 077
{
    cat "$here/redis.conf"
    echo "dir $DATA"
    echo "requirepass $password"
    users
    echo "maxmemory $(memory)"
    echo "masterauth $password"
    if is_alone; then
        echo "port $PORT"
        echo 'min-replicas-to-write 0'
    else
        echo "port $((PORT - 1))"
        echo "replica-announce-port $PORT"
        echo "replica-announce-ip in-doubt.$own"
        echo 'replica-priority 0'
    fi
} >"$conf"
rm -f "$RUN/trust"
if is_alone; then
    echo alone >"$RUN/state"
    # shellcheck disable=SC2086  # REDIS_ARGS is words
    exec redis-server "$conf" ${REDIS_ARGS:-}
fi
MIN_REPLICAS=$(sed -n 's/^min-replicas-to-write //p' "$here/redis.conf")
# shellcheck source=deploy/compose/copy.sh
. "$here/copy.sh"
# shellcheck disable=SC2086  # REDIS_ARGS is words
redis-server "$conf" ${REDIS_ARGS:-} &
server=$!
{
    (watch) || true
    kill -TERM $server # which nobody would take care of
} &
watcher=$!
trap 'kill -TERM $server 2>/dev/null' TERM INT
status=0
while kill -0 $server 2>/dev/null; do # a signal ends a wait
    status=0
    wait $server || status=$?
    [ $status -gt 128 ] || break
done
kill $watcher 2>/dev/null
exit $status
