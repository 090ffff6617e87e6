#!/usr/bin/env bash
# Packs what was built: the binary, its adapters, the policies that are there, README and licence. Never clients' keys.
#
#   scripts/package.sh [TAG]
#
# In: target/release/hauski and target/adapters. Out: target/package/hauski-VERSION-ARCHITECTURE-linux.tar.gz, whose folder
# `./hauski serve` runs in without settings, and SHA256SUMS. A TAG that is not `v` and the binary's version is refused.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

built=${CARGO_TARGET_DIR:-target}
tag=${1:-}
version=$("$built/release/hauski" --version | cut -d' ' -f2)
name=hauski-$version-$(uname -m)-linux
out=$built/package

if [[ -n $tag && $tag != "v$version" ]]; then
    echo "package: the tag is $tag, and the binary says $version" >&2
    exit 1
fi

rm -rf "$out"
mkdir -p "$out/$name/target" "$out/$name/policies"
cp "$built/release/hauski" README.md LICENSE CHANGELOG.md SECURITY.md "$out/$name"
cp -r "$built/adapters" "$out/$name/target/adapters"
cp policies/{routing.yaml,limits.yaml,models.yml,*.schema.json} "$out/$name/policies"

# The same bytes for the same files, whoever packs them and when.
tar --create --sort=name --owner=0 --group=0 --numeric-owner --mode=go=u-w --mtime="@${SOURCE_DATE_EPOCH:-0}" \
    --directory "$out" "$name" | gzip --no-name --best >"$out/$name.tar.gz"
rm -r "${out:?}/$name"
cd "$out"
sha256sum "$name.tar.gz" >SHA256SUMS
cat SHA256SUMS
