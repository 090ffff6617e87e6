#!/usr/bin/env bash
# Builds each crate of adapters/ to a component, which has its folder's name, and puts it into target/adapters.
#
# The name that a file has there is the adapter's id in the policies. Files that did not change are not touched.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

built=target/guest/wasm32-wasip2/adapter
folder=target/adapters
crates=()
for manifest in adapters/*/Cargo.toml; do
    crates+=("$(basename "$(dirname "$manifest")")")
done

cargo build --locked --profile adapter --target wasm32-wasip2 --target-dir target/guest "${crates[@]/#/--package=}"

mkdir -p "$folder"
for crate in "${crates[@]}"; do
    from=$built/${crate//-/_}.wasm
    to=$folder/$crate.wasm
    if ! cmp --silent "$from" "$to"; then
        # Renamed into place: whoever watches the folder never sees half a file.
        cp "$from" "$folder/.$crate.new"
        mv "$folder/.$crate.new" "$to"
    fi
done
