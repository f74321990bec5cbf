#!/usr/bin/env bash
# Inside a fresh clone: the README's first steps, and what the front door promises beyond them.
set -euo pipefail
url=http://127.0.0.1:$HTTP_PORT
checks=0

fail() {
    echo "FAIL  $*" >&2
    exit 1
}

# expect WHAT PATTERN COMMAND..: its output matches the pattern.
expect() {
    local what=$1 pattern=$2 answer
    shift 2
    answer=$("$@" 2>&1) || true
    [[ $answer == *$pattern* ]] || fail "$what: expected ...$pattern..., got: $answer"
    checks=$((checks + 1))
    echo "ok    $what"
}

# exits WHAT STATUS COMMAND..
exits() {
    local what=$1 status=$2 got=0
    shift 2
    "$@" || got=$?
    [ "$got" = "$status" ] || fail "$what: expected exit status $status, got $got"
    checks=$((checks + 1))
    echo "ok    $what"
}

post() {
    curl -sS -X POST "$url$1"
}

# created PATH FIELD: the id that the answer names.
created() {
    post "$1" | sed -n "s/.*\"$2\": *\"\([^\"]*\)\".*/\1/p"
}

# How many processes of this name are there?
count() {
    local comm n=0
    for comm in /proc/[0-9]*/comm; do
        if [ "$(cat "$comm" 2>/dev/null)" = "$1" ]; then
            n=$((n + 1))
        fi
    done
    echo "$n"
}

exits 'up, on a bare machine' 0 ./kassa up
expect 'two redis-server, the private ones' 2 count redis-server
for name in beam.smp epmd; do
    expect "one $name, the private one" 1 count "$name"
done
expect 'health' '"ok":true' curl -sS "$url/health"
expect 'status' 'up at' ./kassa status
SECONDS=0
expect 'up again' 'already up' ./kassa up
[ "$SECONDS" -le 3 ] || fail "up again took $SECONDS s"

user=$(created /payment/create_user user_id)
item=$(created /stock/item/create/5 item_id)
order=$(created "/orders/create/$user" order_id)
expect 'add funds' '"credit":10' post "/payment/add_funds/$user/10"
expect 'add stock' '"stock":3' post "/stock/add/$item/3"
expect 'add item' '"total_cost":10' post "/orders/addItem/$order/$item/2"
expect 'checkout' '"status":"paid"' post "/orders/checkout/$order"
expect 'the user has paid' '"credit":0' curl -sS "$url/payment/find_user/$user"
expect 'the item is taken' '"stock":1' curl -sS "$url/stock/find/$item"

# The blocks of the README that a reader pastes into a shell.
# shellcheck disable=SC2016  # these are backquotes of Markdown
tour() {
    sed -n '/^```sh tour$/,/^```$/p' README.md | grep -v '^```' | KASSA_URL=$url sh
}
expect 'the tour of the README' '"status":"paid"' tour

read -r pid _ <var/run/order.pid
kill -KILL "$pid"
exits 'status tells of a killed service' 1 ./kassa status
exits 'up restarts it' 0 ./kassa up
expect 'checkout of a paid order' '"status":"paid"' post "/orders/checkout/$order"

git clone -q . ../second
exits 'a taken port is refused' 1 ../second/kassa up
exits 'a second working copy beside the first' 0 env HTTP_PORT=$((HTTP_PORT + 1)) ../second/kassa up
expect 'the second has a health of its own' '"ok":true' \
    curl -sS "http://127.0.0.1:$((HTTP_PORT + 1))/health"
expect 'and data of its own' '"error"' \
    curl -sS "http://127.0.0.1:$((HTTP_PORT + 1))/stock/find/$item"
exits 'it stops' 0 ../second/kassa down --wipe
expect 'the first does not notice' 'up at' ./kassa status

exits 'down' 0 ./kassa down
exits 'status when all is down' 1 ./kassa status
for name in redis-server beam.smp epmd kassa-gateway kassa-order kassa-stock kassa-payment; do
    expect "no $name is left" 0 count "$name"
done
exits 'up from the data that is there' 0 ./kassa up
expect 'the order is still paid' '"paid":true' curl -sS "$url/orders/find/$order"
exits 'down and wipe' 0 ./kassa down --wipe
[ ! -e var/data ] || fail 'var/data is still there'
[ -z "$(git status --porcelain)" ] || fail "left in the tree: $(git status --porcelain)"
echo "$checks passed, 0 failed"
