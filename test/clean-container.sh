#!/usr/bin/env bash
# Proves that a fresh clone works on a bare machine: a container of debian:bookworm-slim with
# nothing added but git.
#
#   test/clean-container.sh up [--worktree] [--user]
#   test/clean-container.sh test [--worktree] [--user]
#
# --worktree   clones the files as they are now instead of the last commit
# --user       as an ordinary user with sudo instead of root
#
# HTTP_PORT and KASSA_IMAGE are passed on. deploy/base-image.sh makes the image where no registry
# can be reached. The container shares the network of this machine, as apt's mirror may be here.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

mode=${1:-}
worktree=no
user=root
shift || true
for option; do
    case $option in
    --worktree) worktree=yes ;;
    --user) user=clerk ;;
    *) mode=wrong ;;
    esac
done
case $mode in
up | test) ;;
*)
    sed -n 's/^#   test/usage: test/p' "${BASH_SOURCE[0]}" >&2
    exit 2
    ;;
esac
image=${KASSA_IMAGE:-debian:bookworm-slim}
if ! docker image inspect "$image" >/dev/null 2>&1; then
    echo "there is no image $image; sh deploy/base-image.sh makes it" >&2
    exit 1
fi

work=$(mktemp -d "${TMPDIR:-/tmp}/kassa-clean.XXXXXX")
container=kassa-clean-$$
trap 'docker rm -f "$container" >/dev/null 2>&1 || true; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
chmod 0755 "$work"

# A bundle is a whole repository in one file, whoever owns it.
if [ "$worktree" = yes ]; then
    mkdir "$work/tree"
    git ls-files -z --cached --others --exclude-standard |
        tar --null --files-from=- --ignore-failed-read -cf - 2>/dev/null | tar -C "$work/tree" -xf -
    git -C "$work/tree" init -q -b main
    git -C "$work/tree" add -A
    git -C "$work/tree" -c user.name=test -c user.email=test@localhost commit -q -m 'as it is now'
    git -C "$work/tree" bundle create -q "$work/kassa.bundle" HEAD main
else
    git bundle create -q "$work/kassa.bundle" HEAD "$(git symbolic-ref -q --short HEAD)"
fi
cp test/clean-container/*.sh "$work"
chmod 0644 "$work"/*

docker run --rm --name "$container" --network host -v "$work:/kassa-clean:ro" \
    -e HTTP_PORT="${HTTP_PORT:-8000}" "$image" \
    bash /kassa-clean/prepare.sh "$user" "/kassa-clean/$mode.sh"
