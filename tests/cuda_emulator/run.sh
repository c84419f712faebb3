#!/usr/bin/env bash
# run.sh COMMAND...: builds the emulator, and runs a command on an emulated GPU. Its compiler is the NVRTC of tests/setup.sh,
# unless REAL_NVRTC names another.
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
root="$(cd "$here/../.." && pwd)"
libraries="${CARGO_TARGET_DIR:-$root/target}/emulator"
CARGO_TARGET_DIR="$libraries/build" "$here/build.sh" "$libraries" >&2
compilers=("$root"/.venv/lib/python3*/site-packages/nvidia/cu13/lib)
export REAL_NVRTC="${REAL_NVRTC:-${compilers[0]}}"
# Kernels for it are PTX, of no use on a GPU.
export LD_LIBRARY_PATH="$libraries" NVRTC_PATH="$libraries" NASWOT_CACHE_DIR="$libraries/cache"
exec "$@"
