#!/usr/bin/env bash
# Makes the pictures of README.md and docs/method.md anew: synthetic images, so that nothing else is needed.
set -euo pipefail
cd "$(dirname "$0")/../.."
pictures=docs/pictures
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

cargo build --release --quiet
naswot="${CARGO_TARGET_DIR:-target}/release/naswot"
PATH="$(cd "$(dirname "$naswot")" && pwd):$PATH" examples/blog.sh "$work/blog"
for picture in scatter best-cell worst-cell best-k worst-k; do
    cp "$work/blog/$picture.svg" "$pictures/$picture.svg"
done

cargo run --release --quiet --example worked_example "$work/k.npy"
"$naswot" plot heat-map "$work/k.npy" -o "$pictures/worked-example.svg" --force
