#!/usr/bin/env bash
# Makes the Python environment .venv/NAME with exactly what REQUIREMENTS pins, each file by its hash.
#
#   scripts/venv.sh NAME REQUIREMENTS
#
# Does nothing where it is there already with the same pins.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

name=$1 requirements=$2
folder=.venv/$name
stamp=$folder/requirements.txt

cmp --silent "$requirements" "$stamp" && exit

if ! python3 -c 'import sys, ensurepip; assert sys.version_info >= (3, 11)' 2>/dev/null; then
    echo "$folder needs python3, version 3.11 or newer, with the modules venv and ensurepip" >&2
    exit 1
fi
echo "making $folder with what $requirements pins" >&2
rm -rf "$folder"
python3 -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --requirement "$requirements"
cp "$requirements" "$stamp"
