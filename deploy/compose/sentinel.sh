#!/bin/sh
# Starts a Sentinel that watches all four groups. It keeps its state in its volume.
#
#   sentinel.sh <own address> <group>=<address of its first node> ..
#
# Any client in the network may ask it for the master; commands need the password.
set -eu
own=$1
shift
conf=/data/sentinel.conf
password=$(cat /run/kassa/redis_password)
umask 077

monitor() {
    echo 'port 26379'
    echo 'bind 0.0.0.0'
    echo 'protected-mode no'
    echo 'dir /tmp'
    echo "sentinel announce-ip $own"
    for pair; do
        group=${pair%%=*}
        echo "sentinel monitor $group ${pair#*=} 6379 2"
    done
}

# failover-timeout: when no replica could be promoted just then, the next attempt comes after twice that.
limits() {
    for pair; do
        group=${pair%%=*}
        echo "sentinel down-after-milliseconds $group 2000"
        echo "sentinel failover-timeout $group 5000"
        echo "sentinel parallel-syncs $group 2"
    done
}

# What it has written down, but for passwords and limits, and with addresses of another network
# (KASSA_NET) as they are in this one: the last number is the node's.
remember() {
    before=$(sed -n 's/^sentinel announce-ip "\{0,1\}\([0-9.]*\)\.[0-9]*"\{0,1\}$/\1/p' "$conf")
    sed -e '/^user /d' -e '/^sentinel auth-pass /d' -e '/^sentinel sentinel-/d' \
        -e '/^sentinel down-after-milliseconds /d' -e '/^sentinel failover-timeout /d' \
        -e '/^sentinel parallel-syncs /d' \
        -e "s/\\b$(echo "$before" | sed 's/[.]/[.]/g')[.]/${own%.*}./g" "$conf"
}

passwords() {
    echo 'user default on nopass -@all +auth +hello +ping' \
        '+sentinel|get-master-addr-by-name +sentinel|master +sentinel|masters'
    echo "user kassa on >$password ~* &* +@all"
    echo 'sentinel sentinel-user kassa'
    echo "sentinel sentinel-pass $password"
    for pair; do
        echo "sentinel auth-pass ${pair%%=*} $password"
    done
}

{
    if [ -e "$conf" ]; then
        remember
    else
        monitor "$@"
    fi
    limits "$@"
    passwords "$@"
} >"$conf.new"
mv "$conf.new" "$conf"
exec redis-server "$conf" --sentinel
