# shellcheck shell=bash
# drill --compose: the containers of the highly available stack are broken, in a project of their own.

compose_drill_clean() {
    program_end
    compose_close
    program_forget drill "$1"
}

# The processes whose clocks and disks are broken have a shim preloaded.
compose_drill_shim() {
    packages_install "${PACKAGES_BUILD[@]}"
    services_build shim || exit 1
    install -m 0755 "build/$VARIANT/shim.so" "$COMPOSE_HOME" || exit 1 # anybody in a container reads it
    cp test/drill/shim/compose.yml "$COMPOSE_HOME" || exit 1
    COMPOSE_FILE+=:$COMPOSE_HOME/compose.yml
}

compose_drill_run() {
    local status=0
    cd "$KASSA_ROOT" || exit 1
    KASSA_VAR=$(mktemp -d "${TMPDIR:-/tmp}/kassa-drill.XXXXXX") || exit 1
    trap 'compose_drill_clean $?' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    trap 'exit 129' HUP
    rings_enter "$KASSA_VAR"
    compose_open drill
    compose_drill_shim
    PYTHONDONTWRITEBYTECODE=1 KASSA_VAR=$KASSA_VAR /usr/bin/python3 test/drill/drill.py "$@" &
    PROGRAM_CHILD=$!
    wait "$PROGRAM_CHILD" || status=$?
    PROGRAM_CHILD=''
    compose_drill_clean "$status"
    return "$status"
}
