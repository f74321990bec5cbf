# shellcheck shell=bash disable=SC2034  # the other parts read the variables set here
# Ports and HTTP with nothing but bash and /proc: a bare system has neither ss nor curl.

# Does anything on this machine listen on the port? (0A is the kernel's LISTEN.)
port_is_taken() {
    local hex
    printf -v hex '%04X' "$1"
    grep -q "^ *[0-9]*: [0-9A-F]*:$hex [0-9A-F]*:0000 0A" /proc/net/tcp /proc/net/tcp6 2>/dev/null
}

# Sets PORT_CHOSEN: a free port below the range from which the kernel gives out ports to clients, and
# none that a process which is down just now will have again.
# Where the search begins depends on the directory, so neighbours seldom meet.
port_choose() {
    if [ -z "${PORT_CHOSEN:-}" ]; then
        PORT_CHOSEN=$((20000 + 0x$(printf '%s' "$KASSA_VAR" | sha256sum | cut -c1-6) % 10000))
    fi
    while :; do
        PORT_CHOSEN=$((PORT_CHOSEN + 1))
        if ((PORT_CHOSEN > 32000)); then
            PORT_CHOSEN=20000
        fi
        if ! port_is_taken "$PORT_CHOSEN" && [[ " ${STATE_KEPT[*]} " != *" $PORT_CHOSEN "* ]]; then
            return
        fi
    done
}

# http_get HOST PORT PATH: sets HTTP_STATUS (0: no answer) and HTTP_BODY.
http_get() {
    local answer='' line
    HTTP_STATUS=0
    HTTP_BODY=''
    # Nobody listens: the redirection below would print that as an error of the shell.
    port_is_taken "$2" || return 1
    { exec 3<>"/dev/tcp/$1/$2"; } 2>/dev/null || return 1
    printf 'GET %s HTTP/1.1\r\nHost: %s:%s\r\nConnection: close\r\n\r\n' "$3" "$1" "$2" >&3
    while IFS= read -r -t 5 line <&3 || [ -n "$line" ]; do
        answer+=$line$'\n'
        line=''
    done
    exec 3>&-
    if [[ $answer =~ ^HTTP/1\.[01]\ ([0-9]{3}) ]]; then
        HTTP_STATUS=${BASH_REMATCH[1]}
        HTTP_BODY=${answer#*$'\r\n\r\n'}
        HTTP_BODY=${HTTP_BODY%$'\n'}
    fi
    [ "$HTTP_STATUS" != 0 ]
}
