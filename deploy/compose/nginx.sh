#!/bin/sh
# nginx in front of any number of gateways: this looks up their addresses each second. For a new
# gateway nginx reloads its configuration; it finishes the requests under way, but closes idle
# connections of clients. So a busy client first gets an answer that closes its connection; and a
# gateway that has gone is left out only after a while: until then nginx finds by itself
# that it does not answer, and most come back.
set -eu
dir=/tmp/nginx
AWAY_S=30
CLOSING_S=3 # longer than a client that is at work leaves its connection idle
away=0
access=off
mkdir -p "$dir"
rm -f "$dir/closing"

# A line for each gateway, in a steady order.
gateways() {
    getent ahostsv4 gateway | awk '{print $1}' | sort -u |
        sed 's/.*/server &:8000 max_fails=1 fail_timeout=1s;/'
}

# Is there one that nginx does not know?
has_more() {
    echo "$new" | while read -r line; do
        case $now in *"$line"*) ;; *) echo more ;; esac
    done | grep -q more
}

# pause SECONDS: a signal is heard meanwhile.
pause() {
    sleep "$1" &
    wait $! || true
}

render() {
    awk -v dir="$dir" -v gateways="$(echo "$now" | tr '\n' ' ')" -v access="$access" '
        { gsub("@USER@", ""); gsub("@DIR@", dir); gsub("@LISTEN@", "0.0.0.0:8000") }
        { gsub("@ACCESS@", access); gsub("@RESOLVER@", "127.0.0.11"); gsub("@AGAIN@", "gateway:8000") }
        { gsub("@GATEWAYS@", gateways); print }' /etc/kassa/nginx.conf >"$dir/nginx.conf.new"
    mv "$dir/nginx.conf.new" "$dir/nginx.conf"
}

reload() {
    touch "$dir/closing"
    pause "$CLOSING_S"
    render
    kill -HUP $pid
    pause 1 # what the old workers still answer ends their connections, too
    rm -f "$dir/closing"
}

now=$(gateways)
until [ -n "$now" ]; do
    sleep 0.5
    now=$(gateways)
done
if [ "${ACCESS_LOG:-on}" = on ]; then
    # nginx may not open what is behind its own standard output, which belongs to root.
    access="$dir/access kassa"
    rm -f "$dir/access"
    mkfifo "$dir/access"
    cat "$dir/access" &
fi
render
nginx -e stderr -c "$dir/nginx.conf" -p "$dir" &
pid=$!
trap 'kill -QUIT $pid; wait $pid; exit 0' TERM QUIT INT
while kill -0 $pid 2>/dev/null; do
    pause 1
    new=$(gateways || true)
    if [ -z "$new" ] || [ "$new" = "$now" ]; then
        away=0
    elif has_more || [ $((away += 1)) -ge "$AWAY_S" ]; then
        away=0
        now=$new
        reload
    fi
done
wait $pid
