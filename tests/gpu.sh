#!/usr/bin/env bash
# gpu.sh check | bench: what only a machine with an NVIDIA GPU can show, in under 8 minutes each. It needs the driver and
# NVRTC (a toolkit, the wheel of tests/setup.sh or that of PyTorch), but no Rust: `gpu.sh pack` collects stripped binaries
# in target/gpu, on any machine with Rust and a C library that is no newer. Beside them it needs the files of the repository.
#
#   check  every stage against its twin with fresh seeds, the cases of PyTorch, groups of 1, 7 and 64, want of memory, and
#          compute-sanitizer on a small group where it is installed
#   bench  networks per second of the six workloads through CUDA, through WGSL where Vulkan is there, and of PyTorch where
#          the Python that $PYTHON names (python3 by default) has it: one table, and a JSON file with device, driver, date
#          and commit in $RESULTS (benches/results by default)
set -euo pipefail
cd "$(dirname "$0")/.."
binaries=target/gpu
python="${PYTHON:-python3}"
shopt -s nullglob

# Where a toolkit may be, and the compiler in the wheels of $PYTHON.
toolkits() {
    local nvcc
    printf '%s\n' "${CUDA_PATH:-}" "${CUDA_HOME:-}"
    if nvcc="$(readlink -f "$(command -v nvcc)")"; then
        dirname "$(dirname "$nvcc")"
    fi
    printf '%s\n' /usr/local/cuda /usr/local/cuda-[1-9]* /opt/cuda
}
wheels() {
    printf '%s\n' .venv/lib/python3*/site-packages
    "$python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' 2> /dev/null || true
}

# NVRTC, unless somebody has said where it is. naswot finds most of these by itself; here one is as good as another.
find_nvrtc() {
    local folder libraries
    while IFS= read -r folder; do
        libraries=("$folder"/libnvrtc.so.1[2-9])
        if ((${#libraries[@]} > 0)); then
            NVRTC_PATH="$(cd "$folder" && pwd)"
            export NVRTC_PATH
            return
        fi
    done < <(
        toolkits | sed '/^$/d; s:$:/lib64:'
        wheels | sed 's:$:/nvidia/cu13/lib:'
        wheels | sed 's:$:/nvidia/cuda_nvrtc/lib:'
    )
}

find_sanitizer() {
    local folder
    if command -v compute-sanitizer; then
        return
    fi
    while IFS= read -r folder; do
        for program in "$folder"/bin/compute-sanitizer "$folder"/compute-sanitizer/compute-sanitizer; do
            if [[ -x $program ]]; then
                echo "$program"
                return
            fi
        done
    done < <(toolkits | sed '/^$/d')
}

pack() {
    local log program
    mkdir -p "$binaries"
    log="$binaries/build.log"
    cargo build --release
    cp "${CARGO_TARGET_DIR:-target}/release/naswot" "$binaries/"
    if ! cargo test --release --test kernels_gpu --no-run > "$log" 2>&1; then
        cat "$log" >&2
        exit 1
    fi
    program="$(sed -n 's/.*(\(.*kernels_gpu-[0-9a-f]*\))$/\1/p' "$log")"
    cp "$program" "$binaries/kernels_gpu"
    rm "$log"
    strip "$binaries"/naswot "$binaries"/kernels_gpu
    ls -l "$binaries"
}

# Stops where the binaries or the GPU are missing, before any time is spent.
look() {
    local device
    for program in naswot kernels_gpu; do
        if [[ ! -x $binaries/$program ]]; then
            echo "$binaries/$program is missing: run tests/gpu.sh pack on a machine with Rust, and bring $binaries" >&2
            exit 1
        fi
    done
    "$binaries/naswot" --version
    "$binaries/naswot" devices
    device="$("$binaries/naswot" devices | grep '^cuda' || true)"
    if ! grep -q '^cuda[:0-9]* *yes ' <<< "$device"; then
        echo "no CUDA device can be used here: $device" >&2
        exit 1
    fi
    echo "NVRTC: ${NVRTC_PATH:-as the system finds it}"
}

check() {
    local failed=0 sanitizer networks tool started
    look
    CARGO_MANIFEST_DIR="$PWD" NASWOT_REQUIRE=cuda,reference "$binaries/kernels_gpu" || failed=1
    sanitizer="$(find_sanitizer)"
    networks="$(mktemp)"
    head -n 4 examples/nasbench101.jsonl > "$networks"
    for tool in memcheck racecheck; do
        if [[ -z $sanitizer ]]; then
            echo "compute-sanitizer $tool: not installed, left out"
            continue
        fi
        started=$SECONDS
        # Its report goes to standard output, as the rows do.
        if timeout 100 "$sanitizer" --tool "$tool" --error-exitcode 3 \
            "$binaries/naswot" score "$networks" --backend cuda --stem 4 --batch-size 4 > "$networks.log" 2>&1; then
            echo "compute-sanitizer $tool: clean (after $((SECONDS - started)) s)"
        else
            echo "compute-sanitizer $tool: failed with code $? after $((SECONDS - started)) s (124: out of time)"
            tail -n 40 "$networks.log"
            failed=1
        fi
    done
    rm -f "$networks" "$networks.log"
    return "$failed"
}

bench() {
    local backends=cuda name results
    look
    if "$binaries/naswot" devices | grep '^wgpu.* yes .* GPU' > /dev/null; then
        backends=cuda,wgpu
    fi
    name="$(nvidia-smi --query-gpu=name --format=csv,noheader | head -n 1 | tr -c '[:alnum:]\n' '-')"
    mkdir -p "${RESULTS:-benches/results}"
    results="${RESULTS:-benches/results}/$(date -u +%Y-%m-%d)-$name.json"
    nvidia-smi --query-gpu=name,driver_version,clocks.max.sm,clocks.max.memory --format=csv
    "$python" benches/peer/table.py --naswot "$binaries/naswot" --backend "$backends" --budget 440 --json "$results"
    echo "figures: $results"
}

if [[ -z ${NVRTC_PATH:-} ]]; then
    find_nvrtc
fi
# Kernels are compiled once, also where there is no home.
export NASWOT_CACHE_DIR="${NASWOT_CACHE_DIR:-$PWD/$binaries/cache}"
case "${1:-}" in
pack | check | bench) "$1" ;;
*)
    sed -n '2,12s/^# \{0,1\}//p' "$0"
    exit 2
    ;;
esac
