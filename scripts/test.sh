#!/usr/bin/env bash
# Sets everything up, checks style, and runs the suite; arguments go to pytest, as -k beale or -m "not slow".
#   --browser, before them: installs Debian's Chromium where there is no browser, for the tests of reports.
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

install_browser() {
    for browser in chromium chromium-browser google-chrome; do
        command -v "$browser" >/dev/null && return
    done
    if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
        echo "installing chromium" >&2
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null && return
    fi
    echo "no browser, and none could be installed (that takes apt-get and root): its tests are skipped" >&2
}

if [ "${1:-}" = --browser ]; then
    shift
    install_browser
fi
install_package test

.venv/bin/ruff check --quiet .
.venv/bin/ruff format --check --quiet .
exec .venv/bin/python -m pytest --numprocesses auto "$@"
