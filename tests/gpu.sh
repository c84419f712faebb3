#!/usr/bin/env bash
# gpu.sh check | bench: what only a machine with an NVIDIA GPU can show, in under 8 minutes each. It needs the driver and
# NVRTC (tests/setup.sh), but no Rust: `gpu.sh pack` collects stripped binaries in target/gpu, on any machine with Rust.
#
#   check  every stage against its twin with fresh seeds, the cases of PyTorch, groups of 1, 7 and 64, want of memory, and
#          compute-sanitizer on a small group where it is installed
#   bench  networks per second of the six workloads through CUDA, through WGSL where Vulkan is there, and of PyTorch where
#          the Python that $PYTHON names (python3 by default) has it: one table, and benches/results/*.json with device,
#          driver, date and commit
set -euo pipefail
cd "$(dirname "$0")/.."
binaries=target/gpu

# NVRTC from the wheel, unless there is a toolkit or somebody has said where it is.
wheels=(.venv/lib/python3*/site-packages/nvidia/*/lib)
if [[ -z ${NVRTC_PATH:-} && -d ${wheels[0]} ]]; then
    export NVRTC_PATH="$PWD/${wheels[0]}"
fi

pack() {
    local list program
    mkdir -p "$binaries"
    cargo build --release
    cp "${CARGO_TARGET_DIR:-target}/release/naswot" "$binaries/"
    list="$(cargo test --release --test kernels_gpu --no-run 2>&1 | tee /dev/stderr)"
    program="$(sed -n 's/.*(\(.*kernels_gpu-[0-9a-f]*\))$/\1/p' <<< "$list")"
    cp "$program" "$binaries/kernels_gpu"
    strip "$binaries"/*
    ls -l "$binaries"
}

check() {
    "$binaries/naswot" devices
    CARGO_MANIFEST_DIR="$PWD" NASWOT_REQUIRE=cuda "$binaries/kernels_gpu"
    if command -v compute-sanitizer > /dev/null; then
        local tool
        for tool in memcheck racecheck; do
            head -n 4 examples/nasbench101.jsonl | timeout 120 compute-sanitizer --tool "$tool" --error-exitcode 1 \
                "$binaries/naswot" score - --backend cuda --stem 4 --batch-size 4 > /dev/null
            echo "compute-sanitizer $tool: clean"
        done
    else
        echo "compute-sanitizer: not installed, left out"
    fi
}

bench() {
    local backends=cuda name results
    if "$binaries/naswot" devices | grep -q '^wgpu.* yes .*GPU'; then
        backends=cuda,wgpu
    fi
    name="$(date -u +%Y-%m-%d)-$(nvidia-smi --query-gpu=name --format=csv,noheader | head -n 1 | tr ' ' '-')"
    results="benches/results/$name.json"
    mkdir -p benches/results
    nvidia-smi --query-gpu=name,driver_version,clocks.max.sm,clocks.max.memory --format=csv
    "${PYTHON:-python3}" benches/peer/table.py --naswot "$binaries/naswot" --backend "$backends" --json "$results"
    echo "figures: $results"
}

case "${1:-}" in
pack | check | bench) "$1" ;;
*)
    sed -n '2,10s/^# \{0,1\}//p' "$0"
    exit 2
    ;;
esac
