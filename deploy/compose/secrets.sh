#!/bin/sh
# Makes the passwords of this installation, once. They are in volumes only: the servers'
# volume has all of them, that of a service its own two.
#
#   /run/kassa/           redis_password, rabbitmq_password: of the servers among themselves, and of
#                         operators; erlang_cookie; redis_<service>, rabbitmq_<service>
#   /run/kassa-<service>/ redis_password, rabbitmq_password: that service's
#   /run/kassa-metrics/   redis_exporter.json: each store's address with the password of `metrics`
set -eu
SERVICES='gateway order stock payment audit'
STORES='order stock payment saga'
cd /run/kassa

# Only containers that mount the volume see it.
keep() {
    chmod 0444 "$1.new"
    mv "$1.new" "$1"
}

make() {
    if [ ! -s "$1" ]; then
        od -An -N16 -tx1 /dev/urandom | tr -d ' \n' >"$1.new"
        keep "$1"
    fi
}

for name in redis_password rabbitmq_password erlang_cookie; do
    make "$name"
done
for service in $SERVICES; do
    for server in redis rabbitmq; do
        make "${server}_$service"
        cat "${server}_$service" >"/run/kassa-$service/${server}_password.new"
        keep "/run/kassa-$service/${server}_password"
    done
done
make redis_metrics
{
    comma='{'
    for group in $STORES; do
        for number in 1 2 3; do
            printf '%s"redis://redis-%s-%s:6379":"%s"' "$comma" "$group" "$number" \
                "$(cat redis_metrics)"
            comma=','
        done
    done
    echo '}'
} >/run/kassa-metrics/redis_exporter.json.new
keep /run/kassa-metrics/redis_exporter.json
