# Sourced by run.sh and test.sh: makes .venv at the top of the repository and installs the package in it, once.
#   install_package [EXTRA]   EXTRA: data or test
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

find_python() {
    for python in "${PYTHON:-}" python3.13 python3.12 python3.11 python3; do
        [ -n "$python" ] || continue
        if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$python"
            return
        fi
    done
    echo "Python 3.11 or newer is needed and was not found; set PYTHON to it" >&2
    return 1
}

install_package() {
    local extra="${1:-}" wanted installed
    # What is installed is noted, so that the next call has nothing to do.
    wanted="$(cat pyproject.toml constraints.txt | cksum)"
    installed=".venv/installed${extra:+-$extra}"
    [ "$(cat "$installed" 2>/dev/null)" = "$wanted" ] && return
    [ -x .venv/bin/python ] || "$(find_python)" -m venv .venv
    # torch first: with it in place no other version, nor its packages for GPUs, is looked for.
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt \
        --editable ".${extra:+[$extra]}"
    echo "$wanted" >"$installed"
}
