#!/bin/sh
# Starts one node of a Redis group: as a replica when another master is known, else as its master.
#
#   redis.sh <group> <own address>     a node of a group
#   redis.sh all                       one server for all groups, alone
#
# Only a majority of the Sentinels says who the master is: this node may have missed a promotion, and
# what it has may be older than what was answered. They begin with the group's first node. One whose
# volume is empty in a group that lived is never master: its replicas would become empty as well.
#
# Source: docs/protocol.md, section 3.1.
set -eu
group=$1 own=${2:-}
password=$(cat /run/kassa/redis_password)
conf=/tmp/redis.conf

say() {
    echo "redis.sh: $*" >&2
}

# What each Sentinel says to a question.
ask() {
    for sentinel in $SENTINELS; do
        timeout 1 redis-cli -h "${sentinel%:*}" -p "${sentinel#*:}" SENTINEL "$@" "$group" \
            2>/dev/null || true
    done
}

# The master's address, when two of the Sentinels name the same.
known_master() {
    ask GET-MASTER-ADDR-BY-NAME | grep -F . | sort | uniq -c | awk '$1 >= 2 {print $2}'
}

# Has the group had replicas? Then it has data, too.
has_lived() {
    ask MASTER | awk 'is_count {n += $1} {is_count = $1 == "num-slaves"} END {exit !n}'
}

is_empty() {
    ! [ -d /data/appendonlydir ]
}

if [ "$group" = all ]; then
    master=$own
else
    say "$group: asking the Sentinels for the master"
    until master=$(known_master) && [ -n "$master" ]; do
        sleep 0.5
    done
    if is_empty && [ "$master" = "$own" ] && has_lived; then
        say "$group: the Sentinels name this node, but its volume is empty: another one has to be" \
            "master. If all data is to be gone, the volumes of the Sentinels have to go as well."
        while [ "$master" = "$own" ] || [ -z "$master" ]; do
            sleep 0.5
            master=$(known_master)
        done
    fi
fi
say "$group: the master is $master, this is $own"

# may NAME KEYS COMMANDS: a user for one service. What a function does is done as its caller.
may() {
    echo "user $1 on >$(cat "/run/kassa/redis_$1") ~$2 &kassa.* $3 +@connection +role +wait +publish"
}

# Services: their own group, and of the others' what they need. The default user is for replicas,
# Sentinels and operators.
users() {
    may metrics nothing '+info +config|get +slowlog +latency +client|setname'
    data='+@read +@write -@dangerous +info'
    case $group in
    order)
        may order 'order:*' "$data +fcall +function|load"
        may gateway 'order:*' "$data +fcall"
        ;;
    stock | payment) may "$group" "$group:*" "$data +fcall +function|load" ;;
    all)
        may order 'order:*' "$data +fcall +function|load"
        may gateway '*' "$data +fcall +function|load +subscribe"
        may stock 'stock:*' "$data +fcall +function|load"
        may payment 'payment:*' "$data +fcall +function|load"
        may audit '*' '+@read -@dangerous +info +@transaction'
        return
        ;;
    saga)
        may gateway '*' "$data +fcall +function|load +subscribe"
        for name in order stock payment; do
            may "$name" nothing ''
        done
        return
        ;;
    esac
    may audit "$group:*" '+@read -@dangerous +info +@transaction'
}

umask 077
{
    cat /etc/kassa/redis.conf
    echo "requirepass $password"
    users
    echo "masterauth $password"
    if [ "$group" = all ]; then
        echo 'min-replicas-to-write 0'
    else
        echo "replica-announce-ip $own"
    fi
    [ "$master" = "$own" ] || echo "replicaof $master 6379"
} >"$conf"
# shellcheck disable=SC2086  # REDIS_ARGS is words
exec redis-server "$conf" ${REDIS_ARGS:-}
