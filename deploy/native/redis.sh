# shellcheck shell=bash
# The private Redis: data under data/redis, loopback only, a password of its own.

# Half of the machine's memory: what is over goes to the broker, the services and the disk's cache.
redis_maxmemory() {
    local kib
    kib=$(sed -n 's/^MemTotal: *\([0-9]*\).*/\1/p' /proc/meminfo)
    printf '%dmb' $((kib / 2048))
}

redis_start() {
    mkdir -p "$KASSA_VAR/data/redis"
    state_render "$KASSA_ROOT/deploy/native/redis.conf" "$KASSA_VAR/run/redis.conf" \
        "PORT=${STATE_KEPT[REDIS_PORT]}" "PASSWORD=$STATE_REDIS_PASSWORD" \
        "DATA=$KASSA_VAR/data/redis" "MAXMEMORY=${REDIS_MAXMEMORY:-$(redis_maxmemory)}"
    process_start redis redis-server "$KASSA_VAR/run/redis.conf"
}

# It listens before it has read its data; only PONG means that it serves. A paused one says nothing.
redis_is_ready() {
    [ "$(REDISCLI_AUTH=$STATE_REDIS_PASSWORD timeout 2 redis-cli -h 127.0.0.1 \
        -p "${STATE_KEPT[REDIS_PORT]}" ping 2>/dev/null)" = PONG ]
}
