#!/usr/bin/env bash
# build.sh MODE OUT FILE...: makes a program that serves the kernels of some .cu files. MODE: plain, asan or race. Objects
# are kept beside OUT and used again, but for those of files that are not in kernels/. CXX is clang 19.
set -euo pipefail
kit="$(cd "$(dirname "$0")" && pwd)"
mode=$1 out=$2
shift 2
dir="$(dirname "$out")"
mkdir -p "$dir"
read -ra cxx <<< "${CXX:-clang++-19}"
# Tiles of convolutions as chips have them whose blocks have 163 KB of shared memory or more.
cxx+=(-std=c++17 -O1 -g -I"$kit" -DTENSOR_PIXELS=256)
kernel=() runtime=() link=()
case $mode in
plain) ;;
asan)
    # `array-bounds`, not `bounds`, whose local-bounds dies without a word.
    kernel=(-fsanitize=address,array-bounds,alignment,shift -fno-sanitize-recover=all
        -fsanitize-address-use-after-return=never)
    runtime=(-DSHIM_ASAN)
    link=(-fsanitize=address,undefined)
    ;;
race)
    kernel=(-fsanitize=thread)
    runtime=(-DSHIM_RACE)
    link=(-no-pie)
    ;;
*)
    echo "build.sh: there is no mode $mode" >&2
    exit 2
    ;;
esac

kernels="$(realpath "$kit/../../kernels")"
# Whether an object is older than its source or any header.
stale() {
    local file
    for file in "$2" "$kit"/* "$kernels"/*.cuh; do
        [[ $1 -nt $file ]] || return 0
    done
    return 1
}

# compile OBJECT FLAG...: from standard input.
compile() {
    "${cxx[@]}" "${@:2}" -x c++ -c - -o "$1.$$"
    mv "$1.$$" "$1"
}

common="$dir/runtime.$mode.o"
if stale "$common" "$0"; then
    compile "$common" -O2 ${runtime[@]+"${runtime[@]}"} -DSHIM_RUNTIME <<< '#include "cuda_shim.h"'
fi
if stale "$dir/host.o" "$0"; then
    compile "$dir/host.o" <<< '#include "shim_host.cpp"'
fi
objects=("$common" "$dir/host.o")
for file; do
    stem="$(basename "$file" .cu)"
    object="$dir/$stem.$mode.o"
    if [[ $(realpath "$(dirname "$file")") != "$kernels" ]]; then
        object="$out.$stem.o"
    fi
    objects+=("$object")
    if stale "$object" "$file"; then
        {
            echo "#include \"$(realpath "$file")\""
            grep -oE '\bvoid __launch_bounds__\([^)]*\) [a-z_0-9]+' "$file" | sed 's/.* \(.*\)/SHIM_KERNEL(\1)/'
        } | compile "$object" ${kernel[@]+"${kernel[@]}"} -Wno-unused -include "$kit/cuda_shim.h" -I"$kernels"
    fi
done
"${cxx[@]}" ${link[@]+"${link[@]}"} "${objects[@]}" -o "$out"
