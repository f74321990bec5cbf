# shellcheck shell=sh disable=SC2154  # redis.sh, of which this is a part, sets what is not set here
# The state of a node of a Redis group, judged by its own file. This loop runs beside the
# server and looks twice a second:
#
#   room      the server has loaded its file, and listens on a port that only the other nodes use
#   in doubt  it follows a master; its file is not known to hold what it acknowledges. It is not
#             promoted (replica-priority 0), and its name tells the services not to count it
#   sure      it follows a master, its file holds what it acknowledges, and it may be promoted
#   master
#
# After a full sync the file is the old one until a rewrite ends; a kill restores that. So only a
# look at the file ends doubt, never time. A replica gives its name when it connects, so a name is valid
# for one connection: a node that has become sure reconnects, which costs nothing, and its name for the
# next connection is "unsure" again. (Sentinels ignore a name that is no address.)
#
# The data itself says how far a node's data goes: each master counts in it, `term` when it becomes
# one and `pulse` at each look. A replica is sure only when it has its master's term, so no write is
# answered in a term that its copies do not know. Every answered write is in the files of
# two nodes: of any two of three nodes the one that is further has all of them. When no node serves, that
# decides who becomes master; a node alone waits, for another or for an operator: redis.sh trust.
#
# The data also says who has all of it: `with`, the nodes, and `kept`, which grows with each change.
# A master drops a node that was not sure for SILENCE_S: by then it is not promotable, and the services
# still wait for it. So a node with writes answered without another one has this list, too, and does not
# follow a master that was left out and does not know it. Such a master was promoted all the same: it
# stood still, say, and so did this loop. No replica is sure of it, so it has answered nothing, and goes
# back to the room.
#
# Source: docs/protocol.md, "On a disk"; store/copies.h, which knows the names.
COPY=kassa:copy
LOOK_S=0.5
DECIDE_S=1 # between two looks while others have to be asked
SILENCE_S=10 # less than REDIS_DEGRADE_MS, after which the services do without a replica that is missing
SAY_LOOKS=120 FIRST_LOOKS=10
FAILOVER_S=25 # the Sentinels have promoted a replica by then, if they can
# shellcheck disable=SC2153  # so is PORT, by redis.sh
ROOM=$((PORT - 1))
PRIORITY=100
IN_DOUBT=in-doubt.$own UNSURE=unsure.$own
CR=$(printf '\r')
HOW_FAR="EVAL_RO \"local c = redis.call('HMGET', KEYS[1], 'by', 'term', 'pulse', 'kept', 'with') \
return 'copy:' .. (c[1] or '') .. ':' .. (c[2] or 0) .. ':' .. (c[3] or 0) .. ':' .. \
redis.call('DBSIZE') .. ':' .. (c[4] or '0.0.0') .. ':' .. (c[5] or '')\" 1 $COPY"
# by, with (empty: as it is), when an operator said so. Also when memory is full: else no replica would
# be sure of the next master. \n is for redis-cli.
LEAD="EVAL \"#!lua flags=allow-oom\\nlocal copy, by, with, trust = KEYS[1], ARGV[1], ARGV[2], ARGV[3] \
if redis.call('HGET', copy, 'by') ~= by then redis.call('HINCRBY', copy, 'term', 1) end \
redis.call('HSET', copy, 'by', by) \
if with ~= '' and (trust ~= '0' or redis.call('HGET', copy, 'with') ~= with) then \
local kept = redis.call('HGET', copy, 'kept') or '0.0.0' \
local trusted, changes = string.match(kept, '^(%d+)%.%d+%.(%d+)$') \
if trust ~= '0' then trusted = trust end \
kept = trusted .. '.' .. redis.call('HGET', copy, 'term') .. '.' .. changes + 1 \
redis.call('HSET', copy, 'with', with, 'kept', kept) end \
return 'pulse ' .. redis.call('HINCRBY', copy, 'pulse', 1)\" 1 $COPY"

END=that-is-all
client=''    # the process that talks to the own server
port=$ROOM   # where the own server listens
state=''     # as above
name=''      # under which it is connected to its master
next=$IN_DOUBT # .. will be, when it connects anew
this_link=''
sure_link='' # the connection for which it is sure
goal=''      # how far its master was when it became sure
heard=0      # of a master, last: seconds since the machine has started
was_whole=no
silent_looks=0
left_s=''    # since when somebody who was with it is not

redis_at() {
    at_host=$1 at_port=$2
    shift 2
    REDISCLI_AUTH=$password timeout 2 redis-cli -h "$at_host" -p "$at_port" "$@" 2>/dev/null
}

cli() {
    redis_at "$SELF" "$port" "$@"
}

set_to() {
    cli CONFIG SET "$@" >/dev/null
}

now() {
    read -r seconds _ </proc/uptime
    echo "${seconds%.*}"
}

enter() {
    [ "$state" = "$1" ] || say "$group: $1${2:+: $2}"
    state=$1
    echo "$state" >"$RUN/state"
}

# What a server says of itself, a line each on the standard input, up to the end. False: nothing that helps.
understand() {
    role='' host='' link='' replid='' offset=0 priority=0 by='' term=0 pulse=0 size=''
    kept=0.0.0 with='' followers=''
    is_up=no is_syncing=no is_whole=yes idle=0
    while IFS= read -r line; do
        line=${line%"$CR"} value=${line#*:}
        case $line in
        "$END") break ;;
        'Could not connect'* | Error:*) return 1 ;;
        copy:*)
            IFS=: read -r _ by term pulse size kept with <<EOF
$line
EOF
            ;;
        role:*) role=$value ;;
        master_host:*) host=$value ;;
        master_link_status:up) is_up=yes ;;
        master_last_io_seconds_ago:*) idle=$value ;;
        master_sync_in_progress:1 | loading:1) is_syncing=yes ;;
        slave_repl_offset:*) offset=$value ;;
        slave_priority:*) priority=$value ;;
        master_replid:*) replid=$value ;;
        slave[0-9]*:ip=[0-9]*,state=online,*)
            line=${line#*:ip=}
            followers="$followers ${line%%,*}"
            ;;
        aof_enabled:0 | aof_rewrite_in_progress:1 | aof_rewrite_scheduled:1) is_whole=no ;;
        aof_last_bgrewrite_status:err | aof_last_write_status:err) is_whole=no ;;
        id=*' laddr='*) link=${line#* laddr=} link=${link%% *} ;;
        esac
    done
    [ -n "$role" ]
}

questions() {
    printf '%s\nINFO replication persistence\nCLIENT LIST TYPE master\nECHO %s\n' "$HOW_FAR" "$END"
}

# The own server is asked over one connection, which outlives a change of its port: to start a client
# for each look would take a tenth of a processor for all nodes of a machine.
talk() {
    [ -z "$client" ] || return 0
    cli PING >/dev/null || return 1
    rm -f "$RUN/asked" "$RUN/told"
    mkfifo "$RUN/asked" "$RUN/told"
    REDISCLI_AUTH=$password redis-cli -h "$SELF" -p "$port" <"$RUN/asked" >"$RUN/told" 2>&1 &
    client=$!
    exec 3>"$RUN/asked" 4<"$RUN/told"
}

look() {
    talk || return 1
    questions >&3
    if ! understand <&4; then
        exec 3>&- 4<&-
        kill "$client" 2>/dev/null
        client=''
        return 1
    fi
}

# look_at HOST PORT: the same of another node.
look_at() {
    told=$(questions | redis_at "$1" "$2") || return 1
    understand <<EOF
$told
EOF
}

in_room() {
    [ "$port" = "$ROOM" ]
}

# ---- who has everything ----

# precedes KEPT KEPT: trusted, term, changes.
precedes() {
    IFS=. read -r trusted_1 term_1 changes_1 trusted_2 term_2 changes_2 <<EOF
$1.$2
EOF
    if [ "$trusted_1" != "$trusted_2" ]; then
        [ "$trusted_1" -lt "$trusted_2" ]
    elif [ "$term_1" != "$term_2" ]; then
        [ "$term_1" -lt "$term_2" ]
    else
        [ "$changes_1" -lt "$changes_2" ]
    fi
}

# is_left_out ADDRESS KEPT  KEPT WITH: does the node with the second two know of something that was
# answered without the first?
is_left_out() {
    case " $4 " in
    '  ' | *" $1 "*) return 1 ;;
    esac
    precedes "$2" "$3"
}

# Those who are with it, or nothing, when that is as it was. A master alone answers nobody.
companions() {
    now_with='' missed=no
    for one in $(printf '%s\n' "$own" "$others" | tr ' ' '\n' | sort); do
        case " $own$followers " in
        *" $one "*) now_with="$now_with${now_with:+ }$one" ;;
        *) case " $with " in *" $one "*) missed=yes ;; esac ;;
        esac
    done
    [ "$missed" = yes ] || left_s=''
    if [ -z "$followers" ] || [ "$now_with" = "$with" ]; then
        now_with=''
    elif [ "$missed" = yes ] && [ "${kept%.*}" = "${kept%%.*}.$term" ]; then # not of an earlier term
        [ -n "$left_s" ] || left_s=$(now)
        [ $(($(now) - left_s)) -ge "$SILENCE_S" ] || now_with=''
    fi
}

# ---- a master ----

lead() {
    if [ "$state" != master ]; then
        enter master
        # Whoever makes it a replica gets one in doubt.
        set_to replica-priority 0 replica-announce-ip "$IN_DOUBT"
        next=$IN_DOUBT sure_link='' this_link=''
    fi
    companions
    trusted=0
    if [ -e "$RUN/trust" ]; then
        trusted=$(date +%s) now_with=$own
        set_to min-replicas-to-write 0 # nobody follows yet
    fi
    printf '%s\n' "$LEAD $replid \"$now_with\" $trusted" >&3 # the answer comes before the next look's
    if [ "$trusted" != 0 ] && look; then
        set_to min-replicas-to-write "$MIN_REPLICAS"
        rm -f "$RUN/trust"
    fi
}

# Nobody is sure of it, so it has answered nothing since. Does somebody refuse to follow it?
may_stay() {
    [ -z "$followers" ] || return 0
    pace=$DECIDE_S
    for other in $others; do
        ask_node "$other" || continue
        if [ "$kind" != follows ] && is_left_out "$own" "$kept" "$its_kept" "$its_with"; then
            say "$group: this node was promoted, and lacks what was answered and $other has"
            return 1
        fi
    done
}

# Nobody but the other nodes is to find it.
return_to_room() {
    set_to replica-priority 0 replica-announce-ip "$IN_DOUBT"
    set_to port "$ROOM"
    port=$ROOM
    cli CLIENT KILL TYPE normal >/dev/null
    cli CLIENT KILL TYPE pubsub >/dev/null
    enter room
    heard=$(now)
}

# The server is let out of the room.
open() {
    if in_room && set_to port "$PORT"; then
        port=$PORT
    fi
}

# Its term is written before anybody can write something else, and nobody follows yet.
begin_to_lead() {
    [ "$role" = master ] || cli REPLICAOF NO ONE >/dev/null
    look || return
    set_to min-replicas-to-write 0
    lead
    look || return
    set_to min-replicas-to-write "$MIN_REPLICAS"
    open
}

# ---- a replica ----

follow() {
    cli REPLICAOF "$1" "$PORT" >/dev/null
    heard=$(now)
    open
    enter 'in doubt'
}

# The next connection says so; the one that says something else is closed, which interrupts no sync.
doubt() {
    enter 'in doubt' "${1:-}"
    [ "$priority" = 0 ] || set_to replica-priority 0
    [ "$next" = "$IN_DOUBT" ] || set_to replica-announce-ip "$IN_DOUBT"
    next=$IN_DOUBT sure_link=''
    if [ "$is_up" = yes ] && [ "$name" != "$IN_DOUBT" ]; then
        cli CLIENT KILL TYPE master >/dev/null
    fi
}

# Connects as who it is. What connects after that is not known to be sure.
connect_as_sure() {
    before=$link
    set_to replica-announce-ip "$own"
    cli CLIENT KILL TYPE master >/dev/null
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        look
        if [ "$is_up" = yes ] && [ "$link" != "$before" ]; then
            break
        fi
        sleep 0.05
    done
    set_to replica-announce-ip "$UNSURE"
    next=$UNSURE
    if [ "$is_up" = yes ] && [ "$is_syncing$is_whole" = noyes ] && [ "$link" != "$before" ]; then
        name=$own this_link=$link sure_link=$link goal=''
    else
        cli CLIENT KILL TYPE master >/dev/null
    fi
}

# From now on its master lists it, and it is waited for again. What was done without it until then it
# has to have before it can be promoted.
become_promotable() {
    if [ "$priority" = 0 ]; then
        [ -n "$goal" ] || goal=$(redis_at "$host" "$PORT" INFO replication |
            sed -n "s/^master_repl_offset:\\([0-9]*\\).*/\\1/p")
        look && [ -n "$goal" ] && [ "$offset" -ge "$goal" ] && [ "$link" = "$sure_link" ] || return 0
        set_to replica-priority "$PRIORITY"
    fi
    enter sure
}

# Connected to its master, and nothing is being loaded.
stand() {
    if [ "$link" != "$this_link" ]; then
        name=$next this_link=$link
        # A rewrite that began together with this connection is that of a full sync.
        [ "$is_whole" = yes ] || [ "$was_whole" = no ] || doubt 'its file is being rewritten'
    fi
    was_whole=$is_whole
    [ "$idle" -gt 1 ] || heard=$(now)
    if [ "$link" = "$sure_link" ]; then
        become_promotable
    elif [ "$is_whole" = yes ] && [ "$by" = "$replid" ]; then
        connect_as_sure
    elif [ "$priority" = 0 ]; then
        doubt
    fi
}

replicate() {
    if [ "$is_syncing" = yes ]; then
        was_whole=no
        doubt 'it is given everything anew'
    elif [ "$is_up" = yes ] && [ -n "$link" ]; then
        stand
    elif [ $(($(now) - heard)) -ge "$SILENCE_S" ]; then
        doubt 'it hears no master'
        decide
    elif [ "$priority" = 0 ]; then
        decide
    fi
}

# ---- when no node serves ----

is_master() {
    [ "$(redis_at "$1" "$PORT" ROLE | head -n 1)" = master ]
}

# look_at_node ADDRESS: what to take it for, and how far it is.
look_at_node() (
    kind=idle
    if ! look_at "$1" "$PORT"; then
        look_at "$1" "$ROOM" || exit 1
    elif [ "$role" = slave ] && [ "$is_up" = yes ]; then
        kind=follows
    elif [ "$role" = slave ] && [ "$priority" -gt 0 ]; then
        kind=promotable
    fi
    [ -n "$size" ] && echo "$kind $term $pulse $size $kept $with"
)

ask_node() {
    said=$(look_at_node "$1") || return 1
    read -r kind its_term its_pulse its_size its_kept its_with <<END
$said
END
}

# is_behind TERM PULSE ADDRESS: is this node to go after that one? Of two that are as far, the one that
# the Sentinels name is first.
is_behind() {
    [ "$term" = "$1" ] || { [ "$term" -lt "$1" ] && return; return 1; }
    [ "$pulse" = "$2" ] || { [ "$pulse" -lt "$2" ] && return; return 1; }
    [ "$master" != "$own" ] || return 1
    [ "$master" != "$3" ] || return 0
    [ "$(printf '%s\n' "$own" "$3" | sort | head -n 1)" != "$own" ]
}

# Has this node all that was answered, as far as one can know? Says why not.
may_serve() {
    [ ! -e "$RUN/trust" ] || return 0
    seen=0
    for other in $others; do
        ask_node "$other" || continue
        if [ "$kind" = promotable ] && [ $(($(now) - heard)) -lt "$FAILOVER_S" ]; then
            why="$other is there to be promoted"
            return 1
        elif [ "$kind" = follows ]; then
            why="$other follows a master"
            return 1
        elif [ "$its_size" -eq 0 ]; then
            continue
        elif is_left_out "$own" "$kept" "$its_kept" "$its_with"; then
            why="$other has what was answered without this node"
            return 1
        elif is_left_out "$other" "$its_kept" "$kept" "$with"; then
            : # whatever it has counted since
        elif is_behind "$its_term" "$its_pulse" "$other"; then
            why="$other has as much, or more: it has to be master"
            return 1
        fi
        seen=$((seen + 1))
    done
    why="no other node with data answers, and alone this one may lack what was answered"
    [ "$size" -gt 0 ] || why='this node has no data, and the group has lived'
    [ "$size" -gt 0 ] && [ "$seen" -gt 0 ]
}

# Does this master lack what this node has?
lacks_something() {
    look || return 0
    ask_node "$1" || return 0
    is_left_out "$1" "$its_kept" "$kept" "$with" || return 1
    why="it lacks what was answered without it, and this node has ($kept, with $with)"
}

complain() {
    if [ $((silent_looks % SAY_LOOKS)) -eq "$FIRST_LOOKS" ]; then
        say "$group: waiting, for the master that the Sentinels name, $master, is of no use: $why." \
            "If the other nodes do not come back, what this node has (term $term, pulse $pulse, $size" \
            "keys) is made the truth by: docker-compose exec <this node> sh /etc/kassa/redis.sh trust"
    fi
    silent_looks=$((silent_looks + 1))
}

decide() {
    pace=$DECIDE_S
    master=$(known_master)
    [ -n "$master" ] || return 0
    if [ "$master" != "$own" ] && is_master "$master"; then
        rm -f "$RUN/trust"
        if lacks_something "$master"; then
            complain
        elif [ "$host" != "$master" ] || in_room; then
            say "$group: the master is $master"
            follow "$master"
        fi
        return
    fi
    look && [ -n "$size" ] && [ "$is_syncing$is_whole" = noyes ] || return 0
    if [ "$master" = "$own" ] && [ "$size" = 0 ] && is_new; then
        say "$group: the group is new"
        begin_to_lead
    elif ! may_serve; then
        complain
        return
    elif [ "$master" = "$own" ]; then
        say "$group: this node has all there is (term $term, pulse $pulse)"
        begin_to_lead
    else
        say "$group: this node has all there is (term $term, pulse $pulse), and is to be promoted"
        follow "$master" # which does not serve: the Sentinels will promote this one in its place
        set_to replica-priority "$PRIORITY"
        heard=$(($(now) + FAILOVER_S))
        enter 'to be promoted'
    fi
    silent_looks=0
}

# ---- all of it ----

watch() {
    trap '' PIPE # of a client that has ended: the next look sees it
    enter room
    heard=$(now)
    pace=$LOOK_S
    while sleep "$pace"; do
        pace=$LOOK_S
        look || continue # it cannot answer yet, or hangs
        if in_room; then
            decide
        elif [ "$role" != master ]; then
            replicate
        elif [ -e "$RUN/trust" ] || may_stay; then
            lead
        else
            return_to_room
        fi
    done
}
