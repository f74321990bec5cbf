#!/bin/sh
# Starts one node of a Redis group: as a replica when another master is known, else as its master.
#
#   redis.sh <group> <own address> <address of the group's first node>
#
#   data there?  --no--> the first node begins as master, the others follow it
#        '-----yes-----> only a majority of the Sentinels says who the master is: this node may have
#                        missed a promotion, and what it has may be older than what was answered
#
# Source: docs/protocol.md, section 3.1.
set -eu
group=$1 own=$2 first=$3
password=$(cat /run/kassa/redis_password)
conf=/tmp/redis.conf

say() {
    echo "redis.sh: $*" >&2
}

# The master's address, when two of the Sentinels name the same.
known_master() {
    for sentinel in $SENTINELS; do
        timeout 1 redis-cli -h "${sentinel%:*}" -p "${sentinel#*:}" --no-raw \
            SENTINEL GET-MASTER-ADDR-BY-NAME "$group" 2>/dev/null |
            sed -n '1s/^1) "\(.*\)"$/\1/p'
    done | sort | uniq -c | awk '$1 >= 2 {print $2}'
}

if [ -d /data/appendonlydir ]; then
    say "$group: asking the Sentinels for the master"
    until master=$(known_master) && [ -n "$master" ]; do
        sleep 0.5
    done
else
    master=$first
    known=$(known_master || true)
    [ -z "$known" ] || master=$known # an emptied node of a group that lives
fi
say "$group: the master is $master, this is $own"

# may NAME KEYS COMMANDS: a user for one service. What a function does is done as its caller.
may() {
    echo "user $1 on >$(cat "/run/kassa/redis_$1") ~$2 &kassa.* +@connection +role +wait +publish $3"
}

# Services: their own group, and of the others' what they need. The default user is for replicas,
# Sentinels and operators.
users() {
    data='+@read +@write -@dangerous +info'
    case $group in
    order)
        may order 'order:*' "$data +fcall +function|load"
        may gateway 'order:*' "$data +fcall"
        ;;
    stock | payment) may "$group" "$group:*" "$data +fcall +function|load" ;;
    saga)
        may gateway '*' "$data +fcall +function|load +subscribe"
        for name in order stock payment; do
            may "$name" nothing ''
        done
        return
        ;;
    esac
    may audit "$group:*" '+@read -@dangerous +info'
}

umask 077
{
    cat /etc/kassa/redis.conf
    echo "requirepass $password"
    users
    echo "masterauth $password"
    echo "replica-announce-ip $own"
    [ "$master" = "$own" ] || echo "replicaof $master 6379"
} >"$conf"
# shellcheck disable=SC2086  # REDIS_ARGS is words
exec redis-server "$conf" ${REDIS_ARGS:-}
