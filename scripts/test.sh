#!/usr/bin/env bash
# Sets everything up, checks style, and runs the suite; arguments go to pytest, as -k beale or -m "not slow".
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
install_package test

.venv/bin/ruff check --quiet .
.venv/bin/ruff format --check --quiet .
exec .venv/bin/python -m pytest --numprocesses auto "$@"
