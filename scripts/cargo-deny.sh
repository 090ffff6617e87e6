#!/usr/bin/env bash
# Runs cargo-deny, in the version that is pinned here, with the arguments that are given.
#
# Where it is missing it is compiled into target/tools, without optimisation: that is four times as quick, and it runs for a second.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

version=0.20.2
root=$PWD/target/tools

if [[ "$("$root/bin/cargo-deny" --version 2>/dev/null)" != "cargo-deny $version" ]]; then
    echo "compiling cargo-deny $version into target/tools, once" >&2
    CARGO_TARGET_DIR=$root/build CARGO_PROFILE_DEV_DEBUG=0 \
        cargo install cargo-deny --quiet --locked --debug --version "$version" --root "$root"
    rm -rf "$root/build"
fi
exec "$root/bin/cargo-deny" "$@"
