# The parts of a file that follow from the list `services`: awk -f parts.awk services FILE prints FILE
# with each part made anew. A part stands between two lines that are comments of its file:
#
#   # begin generated: <name>, by make generate
#   # end generated

function fail(text) {
    print "services: " text >"/dev/stderr"
    has_failed = 1
    exit 1
}

# ---- the list ----

FNR == 1 { files++ }

files == 1 && /^(#|$)/ { next }

files == 1 {
    if (NF != 10) { fail($1 " has " NF " columns, of 10") }
    if ($1 !~ /^[a-z]+$/ || $2 !~ /^[a-z]+$/) { fail($1 ": name and store are lower case letters") }
    if ($1 in store) { fail($1 " is there twice") }
    if ($2 ~ /^(all|well|trust)$/) { fail($1 ": the store " $2 " is a word of deploy/compose/redis.sh") }
    if ($2 in net || $3 in group) { fail($1 ": the store " $2 ", or its net " $3 ", is taken") }
    if ($3 !~ /^[1-9][0-9]?$/ || $3 == 9 || $3 > 12) { fail($1 ": net is 1 to 12, but not 9") }
    if ($6 !~ /^(-|[1-9][0-9]*)$/ || $7 !~ /^[1-9][0-9]*$/) { fail($1 ": http and metrics are ports") }
    if ($8 !~ /^[1-9]$/ || $9 !~ /^[1-9]$/) { fail($1 ": replicas and stops are 1 to 9") }
    if ($6 != "-" && front != "") { fail($1 ": the front is " front) }
    if ($6 == "-" && $5 == "-") { fail($1 " has no queue, and is not the front") }
    name[++count] = $1
    store[$1] = $2; net[$2] = $3; group[$3] = $2
    calls[$1] = $4 == "-" ? "" : $4
    queues[$1] = $5 == "-" ? "" : $5
    http[$1] = $6; metrics[$1] = $7; replicas[$1] = $8
    if ($6 != "-") { front = $1; keys = $2 }
    next
}

FNR == 1 {
    if (front == "") { fail("no service has an http port") }
    for (i = 1; i <= 12; i++) {
        if (i in group) { groups[++group_count] = group[i] }
    }
    for (i = 1; i <= count; i++) {
        n = split(calls[name[i]], called, ",")
        for (k = 1; k <= n; k++) {
            if (!(called[k] in net)) { fail(name[i] " calls " called[k] ", which is no store") }
            if (called[k] == keys) { fail(name[i] " calls " called[k] ", which is the front's alone") }
        }
    }
}

# ---- a file ----

/^ *(#|\/\*) end generated/ { is_inside = 0 }

!is_inside { print }

/^ *(#|\/\*) begin generated: / {
    if (is_inside) { fail(FILENAME " has no end of the part " part) }
    part = $4
    sub(/,$/, "", part)
    is_inside = 1
    make(part)
}

END {
    if (!has_failed && is_inside) {
        fail(FILENAME " has no end of the part " part)
    }
    exit has_failed
}

# ---- the parts ----

function make(part) {
    if (part == "stores") { stores(0) }
    else if (part == "stores-of-one") { stores(1) }
    else if (part == "secrets-mounts") { secrets_mounts() }
    else if (part == "services") { services(1) }
    else if (part == "services-of-one") { services(0) }
    else if (part == "nodes") { nodes() }
    else if (part == "sentinels") { sentinels() }
    else if (part == "volumes") { volumes(1) }
    else if (part == "volumes-of-one") { volumes(0) }
    else if (part == "shims") { shims() }
    else if (part == "targets") { targets() }
    else if (part == "store-targets") { store_targets() }
    else if (part == "secrets") { secrets() }
    else if (part == "redis-users") { redis_users() }
    else if (part == "rabbitmq-users") { rabbitmq_users() }
    else if (part == "gateway-services") { gateway_services() }
    else { fail(FILENAME " has a part " part ", which nobody makes") }
}

function address(number) { return "${KASSA_NET:-10.57.11}." number }

function node(of, number) { return "redis-" of "-" number }

# Where a service finds each group: by its name, of the Sentinels, or at the one server.
function stores(is_one,    i) {
    for (i = 1; i <= group_count; i++) {
        printf "  %s_REDIS: %s\n", toupper(groups[i]), is_one ? "redis:6379" : groups[i]
    }
}

function secrets_mounts(    i) {
    for (i = 1; i <= count; i++) {
        printf "      - secrets-%s:/run/kassa-%s\n", name[i], name[i]
    }
}

function services(is_large,    i, one, is_front) {
    for (i = 1; i <= count; i++) {
        one = name[i]
        is_front = one == front
        printf "  %s:\n    <<: *kassa\n    command: [kassa-%s]\n", one, one
        if (is_large) { printf "    deploy: {replicas: %s}\n", replicas[one] }
        printf "    volumes: [\"secrets-%s:/run/kassa:ro\"]\n", one
        printf "    environment:\n      <<: *kassa-environment\n"
        if (is_front) { print "      METRICS_PORT: 0" }
        else if (metrics[one] != 9000) { printf "      METRICS_PORT: %s\n", metrics[one] }
        printf "      REDIS_USER: %s\n      RABBITMQ_USER: %s\n", one, one
        if (is_large) { print "    depends_on: *kassa-needs" }
        printf "    healthcheck:\n      test: [CMD, kassa-%s, --health]\n", one
        printf "      interval: %ds\n      timeout: 3s\n      retries: 3\n", is_large && !is_front ? 15 : 5
        if (i < count) { print "" }
    }
}

# Each node is told of the others.
function nodes(    i, k, m, first, others) {
    for (i = 1; i <= group_count; i++) {
        first = 10 * net[groups[i]]
        for (k = 1; k <= 3; k++) {
            others = ""
            for (m = 1; m <= 3; m++) {
                if (m != k) { others = others ", \"" address(first + m) "\"" }
            }
            printf "  %s:\n    <<: *redis\n", node(groups[i], k)
            printf "    command: [%s, \"%s\"%s]\n", groups[i], address(first + k), others
            printf "    networks: {kassa: {ipv4_address: \"%s\"}}\n", address(first + k)
            printf "    volumes: [*secrets, *redis-sh, *copy-sh, *redis-conf, \"%s:/data\"]\n",
                node(groups[i], k)
            if (i < group_count || k < 3) { print "" }
        }
    }
}

function sentinels(    k, i) {
    for (k = 1; k <= 3; k++) {
        printf "  sentinel-%d:\n    <<: *sentinel\n    command: [\"%s\"", k, address(90 + k)
        for (i = 1; i <= group_count; i++) {
            printf ", \"%s=%s\"", groups[i], address(10 * net[groups[i]] + 1)
        }
        printf "]\n    networks: {kassa: {ipv4_address: \"%s\"}}\n", address(90 + k)
        printf "    volumes: [*secrets, *sentinel-sh, \"sentinel-%d:/data\"]\n", k
        if (k < 3) { print "" }
    }
}

function volumes(is_large,    i, k) {
    for (i = 1; i <= count; i++) { printf "  secrets-%s:\n", name[i] }
    for (i = 1; is_large && i <= group_count; i++) {
        for (k = 1; k <= 3; k++) { printf "  %s:\n", node(groups[i], k) }
    }
}

function shims(    i, k) {
    for (i = 1; i <= count; i++) { printf "  %s: *shim\n", name[i] }
    for (i = 1; i <= group_count; i++) {
        for (k = 1; k <= 3; k++) { printf "  %s: *shim\n", node(groups[i], k) }
    }
}

function targets(    i) {
    for (i = 1; i <= count; i++) {
        printf "  - job_name: %s\n", name[i]
        printf "    dns_sd_configs: [{names: [%s], type: A, port: %s, refresh_interval: 5s}]\n", name[i],
            metrics[name[i]]
    }
}

function store_targets(    i, k) {
    for (i = 1; i <= group_count; i++) {
        printf "      - targets: ["
        for (k = 1; k <= 3; k++) { printf "%s\"redis://%s:6379\"", (k > 1 ? ", " : ""), node(groups[i], k) }
        printf "]\n        labels: {group: %s}\n", groups[i]
    }
}

# list(WORD OF EACH): a shell's variable.
function list(variable, text) {
    sub(/ $/, "", text)
    printf "%s='%s'\n", variable, text
}

function secrets(    i, text) {
    for (i = 1; i <= count; i++) { text = text name[i] " " }
    list("SERVICES", text)
    text = ""
    for (i = 1; i <= group_count; i++) { text = text groups[i] " " }
    list("STORES", text)
}

function redis_users(    i, text) {
    for (i = 1; i <= count; i++) { text = text name[i] ":" store[name[i]] ":" calls[name[i]] " " }
    list("SERVICES", text)
    list("FRONT", front)
    list("KEYS", keys)
    printf "SERVERS=%d\n", 3 * group_count
}

function rabbitmq_users(    i, text) {
    for (i = 1; i <= count; i++) { text = text name[i] ":" queues[name[i]] " " }
    gsub(/,/, "|", text)
    list("SERVICES", text)
}

function gateway_services(    i) {
    printf "#define GATEWAY_SERVICES(X)"
    for (i = 1; i <= count; i++) {
        if (name[i] != front) { printf " \\\n    X(%s, %s)", name[i], toupper(name[i]) }
    }
    print ""
}
