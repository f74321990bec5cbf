# shellcheck shell=bash
# The private Redis servers: data under data/, loopback only, a password of their own.
#
#   redis       users, items, orders, journals and records
#   saga_redis  idempotency keys, and the notices to gateways: Redis sends everything after the
#               fsync of its turn, and no notice needs to wait for one

# redis_maxmemory PART: of the machine's memory. What is over goes to the broker, the services and
# the disk's cache.
redis_maxmemory() {
    local kib
    kib=$(sed -n 's/^MemTotal: *\([0-9]*\).*/\1/p' /proc/meminfo)
    printf '%dmb' $((kib / 1024 / $1))
}

# redis_start_as NAME MAXMEMORY
redis_start_as() {
    local variable=${1^^}_PORT
    mkdir -p "$KASSA_VAR/data/$1"
    state_render "$KASSA_ROOT/deploy/native/redis.conf" "$KASSA_VAR/run/$1.conf" \
        "PORT=${STATE_KEPT[$variable]}" "PASSWORD=$STATE_REDIS_PASSWORD" \
        "DATA=$KASSA_VAR/data/$1" "MAXMEMORY=$2"
    process_start "$1" redis-server "$KASSA_VAR/run/$1.conf"
}

redis_start() {
    redis_start_as redis "${REDIS_MAXMEMORY:-$(redis_maxmemory 2)}"
}

saga_redis_start() {
    redis_start_as saga_redis "$(redis_maxmemory 8)"
}

# It listens before it has read its data; only PONG means that it serves. A paused one says nothing.
redis_answers() {
    [ "$(REDISCLI_AUTH=$STATE_REDIS_PASSWORD timeout 2 redis-cli -h 127.0.0.1 \
        -p "$1" ping 2>/dev/null)" = PONG ]
}

redis_is_ready() {
    redis_answers "${STATE_KEPT[REDIS_PORT]}"
}

saga_redis_is_ready() {
    redis_answers "${STATE_KEPT[SAGA_REDIS_PORT]}"
}
