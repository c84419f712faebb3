#!/usr/bin/env bash
# The experiment of the blog post that NASWOT became known by, from the cells to the pictures: 100 random cells of
# NAS-Bench-101, drawn from random matrices as the benchmark's example draws them, scored on one batch of 32 images; the
# heat map of K of each; score against accuracy; the best cell beside the worst.
#
#     examples/blog.sh [FOLDER]          into blog/ by default
#
# NASWOT_DATA may name a folder with real images of CIFAR-10 (the files data_batch_*.bin of its binary version, or
# cifar10_train_512.bin) and a table of accuracies of NAS-Bench-101 (nb101_accuracy_15001.csv.gz, or nasbench101.csv as
# `naswot table` writes it: CSV with the columns hash and *valid*). Without, images are synthetic, and scores are drawn
# against parameters. Where the table has only a part of the space, cells are drawn until 100 of them are in it.
#
# On the CPU backend, two cores of an AMD EPYC (AVX2), it takes 2 s without data and 5 s with it, the drawing of 8,000 cells
# included; Pearson's r is 0.29 on 100 cells and the first 32 images of the file. The post has 0.267, after a minute on a GPU.
#
# The naswot on the PATH is used, else that of this repository.
set -euo pipefail
here="$(cd "$(dirname "$0")/.." && pwd)"
folder="${1:-blog}"
networks=100
start=$SECONDS

if command -v naswot > /dev/null; then
    naswot="$(command -v naswot)"
else
    cargo build --release --quiet --manifest-path "$here/Cargo.toml"
    naswot="${CARGO_TARGET_DIR:-$here/target}/release/naswot"
    start=$SECONDS
fi
mkdir -p "$folder"

images=synthetic
table=
if [[ -n ${NASWOT_DATA:-} ]]; then
    data="$(cd "$NASWOT_DATA" && pwd)"
    if [[ -f $data/data_batch_1.bin ]]; then
        images="cifar10:$data"
    elif [[ -f $data/cifar10_train_512.bin ]]; then
        images="cifar10:$data/cifar10_train_512.bin"
    fi
    if [[ -f $data/nasbench101.csv ]]; then
        table="$data/nasbench101.csv"
    elif [[ -f $data/nb101_accuracy_15001.csv.gz ]]; then
        gunzip -c "$data/nb101_accuracy_15001.csv.gz" > "$folder/accuracy.csv"
        table="$folder/accuracy.csv"
    fi
fi
echo "images: $images; accuracies: ${table:-none}"

# One row of scores a line: the sixth column is the score, and no column before it has commas for NAS-Bench-101.
if [[ -z $table ]]; then
    "$naswot" sample --space nasbench101 -n "$networks" --over matrices > "$folder/cells.jsonl"
else
    # The hash of each cell is what joins it to the table; the least of networks says it soonest.
    "$naswot" sample --space nasbench101 -n 8000 --over matrices > "$folder/drawn.jsonl"
    "$naswot" score "$folder/drawn.jsonl" -o "$folder/drawn.csv" --force --stem 8 --cells 1 --batch-size 1 -q
    awk -F, -v most="$networks" '
        FILENAME == ARGV[1] { known[$1] = 1; next }
        FILENAME == ARGV[2] { if (FNR > 1 && $4 in known && !($4 in seen) && ++taken <= most) line[$2] = seen[$4] = 1; next }
        FNR in line' "$table" "$folder/drawn.csv" "$folder/drawn.jsonl" > "$folder/cells.jsonl"
    rm "$folder/drawn.jsonl" "$folder/drawn.csv"
fi
echo "cells: $(wc -l < "$folder/cells.jsonl")"

"$naswot" score "$folder/cells.jsonl" -o "$folder/scores.csv" --kernels "$folder/kernels" --force \
    --data "$images" --batch-size 32

against=(--against parameters)
if [[ -n $table ]]; then
    column="$(head -n 1 "$table" | tr , '\n' | grep -i valid | head -n 1)"
    against=(--accuracy "$table" --column "$column")
    "$naswot" correlate "$folder/scores.csv" "${against[@]}" --top 5 | tee "$folder/correlation.txt"
fi
"$naswot" plot scatter "$folder/scores.csv" "${against[@]}" -o "$folder/scatter.svg" --force
"$naswot" plot histogram "$folder/scores.csv" -o "$folder/histogram.svg" --force

# Scores as numbers, -inf the lowest; rows that failed have none.
order="$(awk -F, 'NR > 1 && $6 != "" { print ($6 == "-inf" ? -1e300 : $6), $1, $6 }' "$folder/scores.csv" | sort -g)"
for which in worst best; do
    if [[ $which == worst ]]; then line="$(head -n 1 <<< "$order")"; else line="$(tail -n 1 <<< "$order")"; fi
    read -r _ index score <<< "$line"
    echo "$which: network $index, score $score"
    "$naswot" plot cell "$folder/scores.csv" --row "$index" -o "$folder/$which-cell.svg" --force
    # One scale for both, so that they can be compared.
    "$naswot" plot heat-map "$folder/kernels/$index.npy" --low 0.4 -o "$folder/$which-k.svg" --force
done

accuracy=()
[[ -z $table ]] || accuracy=("${against[@]}")
"$naswot" report "$folder/scores.csv" --kernels "$folder/kernels" ${accuracy[@]+"${accuracy[@]}"} \
    -o "$folder/report.html" --force
echo "$folder: done in $((SECONDS - start)) s"
