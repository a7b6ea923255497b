#!/bin/sh
# Runs @runs@ with this tree's programs first on the PATH, wherever the tree lies.
root=$(dirname "$(dirname "$(readlink -f "$0")")")
export PATH="$root/bin:$PATH" PYTHONDONTWRITEBYTECODE=1 TMPDIR="${TMPDIR:-/tmp}" VIRTUAL_ENV="$root"
cd "$root" || exit 1
exec "$root/@runs@" "$@"
