# shellcheck shell=bash disable=SC2034  # the other parts read the variables set here
# The release before this one, built from git's history: to run it beside this one.

PREVIOUS_DIR='' # of its source and build/, when it is there

# Builds what test/drill/previous names, unless that was done before. Returns 1, having said why, when
# the history of this working copy does not reach so far: a tarball, or a shallow clone.
previous_build() {
    local commit dir git=(git -c "safe.directory=$KASSA_ROOT" -C "$KASSA_ROOT")
    commit=$(grep -v '^#' "$KASSA_ROOT/test/drill/previous")
    dir=$KASSA_ROOT/build/previous/$commit
    if [ ! -e "$dir/built" ]; then
        if ! "${git[@]}" cat-file -e "$commit^{commit}" 2>/dev/null; then
            say_warn "two versions are not tested: the previous release, ${commit:0:7}, is not in the" \
                'history of this working copy (git fetch --unshallow)'
            return 1
        fi
        rm -rf "$dir"
        mkdir -p "$dir"
        "${git[@]}" archive "$commit" | tar -x -C "$dir" || return 1
        say_logged "$KASSA_VAR/log/build-previous.log" \
            make -C "$dir" -j"$(nproc)" VARIANT=release all || {
            say_warn "the previous release does not build, see $KASSA_VAR/log/build-previous.log"
            return 1
        }
        : >"$dir/built"
    fi
    PREVIOUS_DIR=$dir
}

previous_binary() {
    printf '%s/build/release/kassa-%s' "$PREVIOUS_DIR" "$1"
}
