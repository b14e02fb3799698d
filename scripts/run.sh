#!/usr/bin/env bash
# Sets everything up and runs the main job; arguments go to `sam-sde escape`, as --set run.n_paths=1000.
# A configuration as the first argument takes the place of configs/beale_saddle.yaml.
invoked_from="$PWD"
source "$(dirname "${BASH_SOURCE[0]}")/environment.sh"
install_package data

config="$PWD/configs/beale_saddle.yaml"
sam_sde="$PWD/.venv/bin/sam-sde"
cd "$invoked_from"
if [ $# -gt 0 ] && [ "${1#-}" = "$1" ]; then
    config="$1"
    shift
fi
exec "$sam_sde" escape "$config" "$@"
