#!/usr/bin/env bash
# Runs each fuzzer of fuzz/ for so many seconds, and says what it found. Needs a nightly toolchain, as libFuzzer does.
#
#   scripts/fuzz.sh SECONDS
#
# cargo-fuzz, in the version that is pinned here, is compiled into target/tools where it is missing. What a fuzzer learns goes
# to target/fuzz/corpus; what breaks something to fuzz/artifacts. Without AddressSanitizer: no crate of ours has unsafe code.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

version=0.13.2
seconds=$1
root=$PWD/target/tools

if ! rustup run nightly rustc --version >/dev/null 2>&1; then
    echo "a nightly toolchain is missing: run rustup toolchain install nightly --profile minimal" >&2
    exit 1
fi
if [[ "$("$root/bin/cargo-fuzz" --version 2>/dev/null)" != "cargo-fuzz $version" ]]; then
    echo "compiling cargo-fuzz $version into target/tools, once" >&2
    CARGO_TARGET_DIR=$root/build CARGO_PROFILE_DEV_DEBUG=0 \
        cargo install cargo-fuzz --quiet --locked --debug --version "$version" --root "$root"
    rm -rf "$root/build"
fi

# The ledger's fuzzer makes folders by the thousand, each of which it syncs.
if [[ -d /dev/shm ]]; then
    export TMPDIR=/dev/shm
fi

for target in url policy lock redactor ledger sse heads tool_calls dialects; do
    learnt=target/fuzz/corpus/$target
    mkdir -p "$learnt"
    echo "fuzzing $target for $seconds seconds" >&2
    RUSTUP_TOOLCHAIN=nightly CARGO_TARGET_DIR=$PWD/target/fuzz "$root/bin/cargo-fuzz" fuzz run --sanitizer none "$target" \
        "$learnt" "fuzz/corpus/$target" -- -max_total_time="$seconds" -max_len=4096 -timeout=10 -print_final_stats=1 -verbosity=0 \
        |& sed '/Recommended dictionary/,/End of recommended dictionary/d'
done
