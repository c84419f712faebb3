#!/usr/bin/env bash
# Installs what tests need beside Rust: Mesa's software adapter, which stands in for a GPU where there is none, so that
# shaders run for real. Does nothing where it is there already.
set -euo pipefail

shopt -s nullglob
drivers=(/usr/share/vulkan/icd.d/lvp_icd*.json /etc/vulkan/icd.d/lvp_icd*.json)
if ((${#drivers[@]} > 0)); then
    echo "software adapter: ${drivers[0]}"
    exit 0
fi
if ! command -v apt-get > /dev/null; then
    echo "install Mesa's Vulkan drivers (lavapipe) by hand: there is no apt-get here" >&2
    exit 1
fi
as_root=()
if [[ $(id -u) -ne 0 ]]; then
    as_root=(sudo)
fi
"${as_root[@]}" apt-get update
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends mesa-vulkan-drivers
