#!/usr/bin/env bash
# Runs the tests of the engines with the oldest and the newest torch that pyproject.toml allows, each in an environment of
# its own (.venv-torch-VERSION); arguments are the versions to try instead.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

[ $# -gt 0 ] || set -- 2.8.0 2.13.0
for version in "$@"; do
    environment=".venv-torch-$version"
    [ -x "$environment/bin/python" ] || "${PYTHON:-python3}" -m venv "$environment"
    grep -v '^torch==' constraints.txt >"$environment/constraints.txt"
    "$environment/bin/python" -m pip install --quiet --disable-pip-version-check "torch==$version"
    "$environment/bin/python" -m pip install --quiet --disable-pip-version-check \
        --constraint "$environment/constraints.txt" --editable ".[test]"
    echo "torch $version"
    "$environment/bin/python" -m pytest --numprocesses auto tests/engines tests/dynamics tests/escape/test_reproducibility.py
done
