#!/bin/sh
# Starts a Sentinel that watches all four groups. What it learns it writes down, in its volume.
#
#   sentinel.sh <own address> <group>=<address of its first node> ..
set -eu
own=$1
shift
conf=/data/sentinel.conf
password=$(cat /run/kassa/redis_password)
umask 077
if [ ! -e "$conf" ]; then
    {
        echo 'port 26379'
        echo 'bind 0.0.0.0'
        echo 'protected-mode no'
        echo 'dir /tmp'
        echo "sentinel announce-ip $own"
        for pair; do
            group=${pair%%=*}
            echo "sentinel monitor $group ${pair#*=} 6379 2"
            echo "sentinel auth-pass $group $password"
            echo "sentinel down-after-milliseconds $group 2000"
            echo "sentinel failover-timeout $group 10000"
            echo "sentinel parallel-syncs $group 2"
        done
    } >"$conf.new"
    mv "$conf.new" "$conf"
fi
exec redis-server "$conf" --sentinel
