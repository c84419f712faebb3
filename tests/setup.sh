#!/usr/bin/env bash
# Installs what tests need beside Rust, on a machine without a GPU, and nothing that is there already:
#
# - Mesa's software adapter, on which shaders run for real;
# - clang 19, which builds CUDA kernels for the CPU, with the runtime of its AddressSanitizer and its symbolizer;
# - NVIDIA's compiler and disassembler of CUDA kernels, from wheels, into .venv, and the compiler of CUDA 12 beside them;
# - Chromium, in which the pages of `naswot report` are opened, with a font.
set -euo pipefail
cd "$(dirname "$0")/.."

shopt -s nullglob
missing=()
drivers=(/usr/share/vulkan/icd.d/lvp_icd*.json /etc/vulkan/icd.d/lvp_icd*.json)
if ((${#drivers[@]} == 0)); then
    missing+=(mesa-vulkan-drivers)
fi
sanitizers=(/usr/lib/llvm-19/lib/clang/19/lib/linux/libclang_rt.asan-x86_64.a)
if ! type clang++-19 llvm-addr2line-19 &> /dev/null || [[ ! -f ${sanitizers[0]} ]]; then
    missing+=(clang-19 libclang-rt-19-dev llvm-19)
fi
if ! python3 -c 'import ensurepip' 2> /dev/null; then
    missing+=(python3-venv)
fi
if ! command -v chromium chromium-browser google-chrome > /dev/null; then
    missing+=(chromium fonts-dejavu-core)
fi
if ((${#missing[@]} > 0)); then
    if ! command -v apt-get > /dev/null; then
        echo "install by hand: ${missing[*]} (there is no apt-get here)" >&2
        exit 1
    fi
    as_root=()
    if [[ $(id -u) -ne 0 ]]; then
        as_root=(sudo)
    fi
    ${as_root[@]+"${as_root[@]}"} apt-get update
    ${as_root[@]+"${as_root[@]}"} env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y --no-install-recommends "${missing[@]}"
fi

# Wheels by their digests, which pip checks.
wheels() {
    .venv/bin/pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes "$@"
}
compilers=(.venv/lib/python3*/site-packages/nvidia/*/lib/libnvrtc.so.1[0-9])
disassemblers=(.venv/lib/python3*/site-packages/nvidia/*/bin/nvdisasm)
if ((${#compilers[@]} == 0 || ${#disassemblers[@]} == 0)); then
    python3 -m venv .venv
    wheels -r tests/wheels.txt
fi
twelve=(.venv/nvrtc12/nvidia/cuda_nvrtc/lib/libnvrtc.so.12)
if [[ ! -f ${twelve[0]} ]]; then
    wheels --target .venv/nvrtc12 -r tests/wheels12.txt
fi
