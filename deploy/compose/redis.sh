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

# Do two of the Sentinels know the group, and none of them a replica? Their silence says nothing.
is_new() {
    ask MASTER | awk 'is_count {told++; n += $1} {is_count = $1 == "num-slaves"}
        END {exit !(told >= 2 && n == 0)}'
}

is_empty() {
    ! [ -d /data/appendonlydir ]
}

find_master() {
    until master=$(known_master) && [ -n "$master" ]; do
        sleep 0.5
    done
}

if [ "$group" = all ]; then
    master=$own
else
    say "$group: asking the Sentinels for the master"
    find_master
    looks=0
    while is_empty && [ "$master" = "$own" ] && ! is_new; do
        if [ $((looks % 60)) -eq 0 ]; then
            say "$group: the Sentinels name this node, but its volume is empty: another one has to" \
                "be master, or they have to say that the group is new. If all data is to be gone," \
                "the volumes of the Sentinels have to go as well."
        fi
        looks=$((looks + 1))
        sleep 0.5
        find_master
    done
fi
say "$group: the master is $master, this is $own"

# may NAME KEYS COMMANDS: a user for one service. What a function does is done as its caller.
may() {
    echo "user $1 on >$(cat "/run/kassa/redis_$1") ~$2 $3 +auth +hello +ping +role"
}

# serve NAME KEYS COMMANDS: .. that waits for the replicas, and tells gateways.
serve() {
    may "$1" "$2" "&kassa.* $3 +wait +publish"
}

# Services: their own group, and of the others' what they need. The default user is for replicas,
# Sentinels and operators.
users() {
    may metrics nothing '+info +slowlog|get +slowlog|len +latency|latest +client|setname'
    data='+@read +@write -@dangerous -function +info'
    own_data="$data +fcall +time +function|load +function|delete"
    # It waits for the replicas as well, so it tells nobody something.
    look='+@read -@dangerous +info +@transaction +wait +publish &kassa.nobody'
    case $group in
    order)
        serve order 'order:*' "$own_data"
        serve gateway 'order:*' "$data +fcall +time +function|load"
        ;;
    stock | payment) serve "$group" "$group:*" "$own_data" ;;
    all)
        serve order 'order:*' "$own_data"
        serve gateway '*' "$own_data +subscribe"
        serve stock 'stock:*' "$own_data"
        serve payment 'payment:*' "$own_data"
        may audit '*' "$look"
        return
        ;;
    saga)
        serve gateway '*' "$own_data +subscribe"
        for name in order stock payment; do
            serve "$name" nothing ''
        done
        return
        ;;
    esac
    may audit "$group:*" "$look"
}

# An even part of half of the machine's memory; full means refused, not killed.
memory() {
    awk -v servers="$([ "$group" = all ] && echo 1 || echo 12)" \
        '/^MemTotal:/ {printf "%dkb\n", $2 / 2 / servers}' /proc/meminfo
}

umask 077
{
    cat /etc/kassa/redis.conf
    echo "requirepass $password"
    users
    echo "maxmemory $(memory)"
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
