#!/usr/bin/env python3
"""naswot beside PyTorch: networks per second over the same cells, in turn, and their ratio.

    python3 benches/peer/compare.py                                  the first 20 cells, stem 16, N = 32
    python3 benches/peer/compare.py --space nasbench201 --cells 10
    python3 benches/peer/compare.py -- --channels-last --workers 2   PyTorch at its best on two cores
    python3 benches/peer/compare.py --scores swap,meco,expressivity,progressivity -- --flow scores

Run it with the Python that has torch; what follows `--` goes to `torch_naswot.py time`. The times of naswot are
those of the whole process `naswot score`: reading, planning, weights, rows. Those of PyTorch leave out its start,
the import of torch and one network to warm up, all of which take it longer than naswot takes for everything.
"""
import argparse, json, os, statistics, subprocess, sys, tempfile, time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))


def run(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"exit status {done.returncode}: {' '.join(command)}")
    return done.stdout


def naswot(a, cells):
    start = time.perf_counter()
    rows = run([a.naswot, "score", cells, "--stem", str(a.stem), "--batch-size", str(a.n), "--backend", a.backend,
                "--precision", a.precision, "--scores", a.scores, "--format", "jsonl"]).splitlines()
    seconds = time.perf_counter() - start
    failed = [row for row in rows if json.loads(row)["error"]]
    if failed:
        sys.exit(failed[0])
    return len(rows) / seconds


def torch(a, cells):
    out = run([sys.executable, os.path.join(HERE, "torch_naswot.py"), "time", cells, "--stem", str(a.stem),
               "--n", str(a.n), "--limit", str(a.cells), *a.torch])
    return json.loads(out)["networks_per_second"]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--space", choices=["nasbench101", "nasbench201"], default="nasbench101")
    p.add_argument("--cells", type=int, default=20, help="the first so many of benches/workloads (at most 200)")
    p.add_argument("--stem", type=int, default=16, help="stem channels (C of nasbench201)")
    p.add_argument("--n", type=int, default=32, help="images in the batch")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--backend", default="cpu", help="of naswot; PyTorch takes its device from `-- --device cuda`")
    p.add_argument("--precision", default="f32", help="of naswot")
    p.add_argument("--scores", default="nwot", help="of naswot")
    p.add_argument("--naswot", default=os.path.join(ROOT, "target", "release", "naswot"), help="the command")
    arguments = sys.argv[1:]
    split = arguments.index("--") if "--" in arguments else len(arguments)
    a = p.parse_args(arguments[:split])
    a.torch = arguments[split + 1:] or []
    if "--device" not in a.torch:
        a.torch += ["--device", "cpu"]

    with open(os.path.join(ROOT, "benches", "workloads", f"{a.space}_200.jsonl")) as file:
        lines = file.readlines()[:a.cells]
    rates = {"naswot": [], "torch": []}
    with tempfile.TemporaryDirectory() as folder:
        cells = os.path.join(folder, "cells.jsonl")
        with open(cells, "w") as file:
            file.writelines(lines)
        for turn in range(a.rounds):
            rates["naswot"].append(naswot(a, cells))
            rates["torch"].append(torch(a, cells))
            print(f"round {turn + 1}: naswot {rates['naswot'][-1]:.2f}, torch {rates['torch'][-1]:.2f} networks/s",
                  flush=True)
    print(f"{a.space}, stem {a.stem}, N = {a.n}, {len(lines)} cells, median (min to max) of {a.rounds} rounds in turn:")
    medians = {name: statistics.median(values) for name, values in rates.items()}
    for name, values in rates.items():
        what = f"{a.backend} {a.precision}" if name == "naswot" else " ".join(a.torch)
        print(f"  {name:<7} {medians[name]:8.2f} networks/s  ({min(values):.2f} to {max(values):.2f})  {what}")
    print(f"  ratio   {medians['naswot'] / medians['torch']:8.2f}")


if __name__ == "__main__":
    main()
