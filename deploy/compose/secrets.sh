#!/bin/sh
# Makes the passwords of this installation, once: they are in the volume `secrets` and nowhere else.
set -eu
cd /run/kassa
for name in redis_password rabbitmq_password erlang_cookie; do
    if [ ! -s "$name" ]; then
        od -An -N16 -tx1 /dev/urandom | tr -d ' \n' >"$name.new"
        mv "$name.new" "$name"
    fi
    chmod 0444 "$name" # only containers that mount the volume see it
done
