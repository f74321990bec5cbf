#!/bin/sh
# Starts a node of the broker's cluster, with the password and the cookie of this installation.
set -eu
umask 077
cp /run/kassa/erlang_cookie /tmp/.erlang.cookie
chmod 0400 /tmp/.erlang.cookie
{
    cat /etc/kassa/rabbitmq.conf
    echo "default_user = kassa"
    echo "default_pass = $(cat /run/kassa/rabbitmq_password)"
} >/tmp/rabbitmq.conf
printf '[].\n' >/tmp/enabled_plugins
export HOME=/tmp RABBITMQ_CONFIG_FILE=/tmp/rabbitmq.conf \
    RABBITMQ_ENABLED_PLUGINS_FILE=/tmp/enabled_plugins RABBITMQ_LOGS=- \
    RABBITMQ_MNESIA_BASE=/var/lib/rabbitmq/mnesia RABBITMQ_LOG_BASE=/tmp \
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='+sbwt none +sbwtdcpu none +sbwtdio none'
exec rabbitmq-server
