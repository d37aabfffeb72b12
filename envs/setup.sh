#!/usr/bin/env bash
# Create the environment: envs/setup.sh PYTHON FOLDER. What this machine lacks is said in one sentence.
set -euo pipefail
python=$1 folder=$2

refuse() { echo "depthdial: $1" >&2; exit 1; }

case "$PWD/$folder" in
*[[:space:]]*) refuse "$PWD has a blank in its path, and Snakemake starts programs by their path, unquoted; move the checkout to a path without" ;;
esac
command -v "$python" >/dev/null || refuse "no $python on this machine; install Python 3.11 or newer, or name one: make PYTHON=/path/to/python3"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    refuse "$("$python" --version) is too old; Python 3.11 or newer is needed: make PYTHON=/path/to/python3"
"$python" -c 'import ensurepip, venv' 2>/dev/null ||
    refuse "$python cannot create environments; install its venv module (Debian: apt-get install python3-venv)"
if [ ! -x "$folder/bin/pip" ]; then
    free=$(($(df -Pk . | awk 'NR == 2 {print $4}') / 1048576))
    [ "$free" -ge 9 ] || refuse "$free GiB are free here; the environment needs 9 GiB while it is installed"
    "$python" -m venv --clear "$folder"
fi
echo "Installing the packages of requirements.lock into $folder (about 6 GB, most of it PyTorch; a few minutes)."
"$folder/bin/pip" install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock 2>&1 |
    { grep --line-buffered -v '^WARNING: Location' >&2 || true; } ||
    refuse "the packages could not be installed; pip says why above (no network, or no disk left?). Run the same command again to go on"
"$folder/bin/pip" install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable . 2>&1 |
    { grep --line-buffered -v '^WARNING: Location' >&2 || true; } || refuse "depthdial itself could not be installed into $folder"
touch "$folder/complete"
