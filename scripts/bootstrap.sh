#!/usr/bin/env bash
# Makes a fresh machine ready to build HausKI, then hands its arguments to `just`:
#
#   scripts/bootstrap.sh up      build, and serve on 127.0.0.1:8080
#   scripts/bootstrap.sh test    all checks
#
# Needs `cargo`, a C compiler and, for `test`, Python 3.11, Node.js 20.11, jq and Chromium. Says what it does, needs no root,
# changes nothing that is there already; a second run finds nothing to do.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf 'bootstrap: %s\n' "$*" >&2; }
die() {
    say "$*"
    exit 1
}

toolchain_setting() { sed -n "s/^$1 = //p" rust-toolchain.toml | tr -d '[]",'; }

# The toolchain of rust-toolchain.toml, its components, and the target that adapters are built for.
rust() {
    local channel target component
    command -v cargo >/dev/null || die 'cargo is missing: install Rust (https://rustup.rs), then run this again'
    command -v cc >/dev/null || die 'a C compiler is missing: install one, such as the package build-essential'
    channel=$(toolchain_setting channel)
    if ! command -v rustup >/dev/null; then
        for target in $(toolchain_setting targets); do
            [[ -d "$(rustc --print sysroot)/lib/rustlib/$target" ]] ||
                die "this Rust has no target $target: install that, or install Rust by rustup (https://rustup.rs)"
        done
        return
    fi
    if ! rustup run "$channel" rustc --version >/dev/null 2>&1; then
        say "installing Rust $channel by rustup, beside the toolchains that are there"
        rustup toolchain install "$channel" --profile minimal --no-self-update
    fi
    for component in $(toolchain_setting components); do
        if ! rustup component list --toolchain "$channel" --installed | grep -q "^$component\b"; then
            say "adding $component to Rust $channel"
            rustup component add --toolchain "$channel" "$component"
        fi
    done
    for target in $(toolchain_setting targets); do
        if ! rustup target list --toolchain "$channel" --installed | grep -qx "$target"; then
            say "adding the target $target to Rust $channel"
            rustup target add --toolchain "$channel" "$target"
        fi
    done
}

# `just`, in cargo's own folder of programs: whoever has `cargo` on the path then has `just` there too.
just=just
just_command() {
    local bin="${CARGO_HOME:-$HOME/.cargo}/bin" version
    reads_justfile just && return
    just=$bin/just
    reads_justfile "$just" && return
    version=$(sed -n 's/^rust-just==//p' scripts/tools.in)
    if [[ -e $just ]]; then
        say "the just in $bin is too old, so this uses .venv/tools/bin/just; update yours to $version"
        scripts/venv.sh tools scripts/tools.txt
        just=.venv/tools/bin/just
    elif scripts/venv.sh tools scripts/tools.txt; then
        say "putting just $version into $bin (to undo that: rm $just)"
        mkdir -p "$bin"
        cp .venv/tools/bin/just "$just"
    else
        say "compiling just $version into $bin (a minute or two; to undo that: cargo uninstall just)"
        cargo install just --locked --version "$version"
    fi
    [[ "$(command -v just)" == "$bin/just" ]] || say "to use plain \`just\`, put $bin first on your PATH"
}

# Whether it is there, and new enough for our justfile.
reads_justfile() { "$1" --summary >/dev/null 2>&1; }

# What the checks of these recipes call and only the machine's own packages bring: missed now rather than after the build.
programs() {
    local recipe program wanted=() missing=()
    for recipe in "$@"; do
        case $recipe in
        test) wanted+=(python3 node npm jq "${CHROMIUM:-chromium}") ;;
        console | screenshots) wanted+=(node npm "${CHROMIUM:-chromium}") ;;
        smoke) wanted+=(python3) ;;
        scripts) wanted+=(python3 jq) ;;
        gate) wanted+=(jq) ;;
        esac
    done
    for program in "${wanted[@]}"; do
        command -v "$program" >/dev/null || missing+=("$program")
    done
    ((${#missing[@]} == 0)) || die "missing for just $*: ${missing[*]}; install them, such as by packages of these names, then run this again"
}

# A policy that grants nothing, where there is none. One that is there is never touched, nor is a link whose end is not there yet.
policy() {
    local file=policies/routing.yaml part=policies/routing.yaml.$$
    [[ -e $file || -L $file ]] && return
    say "writing $file: no adapter may reach anything"
    mkdir -p policies
    cat >"$part" <<'YAML' || { rm -f "$part"; return 1; }
# yaml-language-server: $schema=routing.schema.json
#
# What adapters may reach, and which models are preferred. README shows how to grant something.
egress:
  default: deny
  allow: []
routing:
  prefer_local: true
  cloud_fallback:
    enabled: false
YAML
    # Whole or not at all, and never in place of what has come there meanwhile.
    mv -n "$part" "$file"
    rm -f "$part"
}

rust
programs "$@"
just_command
policy
exec "$just" "$@"
