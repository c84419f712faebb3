#!/usr/bin/env python3
"""One table of the six workloads: naswot on some backends, and PyTorch as it comes and at its best, in one run.

    python3 benches/peer/table.py --backend cuda,wgpu --json results.json
    python3 benches/peer/table.py --backend cpu --device cpu --seconds 3 --limit 4 --workload nasbench101-stem16-n32

naswot is measured by `naswot bench`, PyTorch by `torch_naswot.py time`, both without the start of their processes. The
JSON is that of `naswot bench`, which has the commit, with PyTorch's figures, the date and the driver added; it is written
again after every figure, so that what is known is kept where time runs out. Without torch the columns of PyTorch stay empty,
and the table says so.
"""
import argparse, datetime, importlib.util, json, os, subprocess, sys, time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
WORKLOADS = {
    f"{space}{f'-stem{stem}' if space == 'nasbench101' else ''}-n{n}": (space, stem, n)
    for space, stem in [("nasbench101", 16), ("nasbench101", 128), ("nasbench201", 16)]
    for n in [32, 128]
}
FORMS = {
    "cuda": {"as it comes": ["--flow", "fast"], "bf16": ["--flow", "fast", "--dtype", "bfloat16", "--channels-last"],
             "bf16 graphs": ["--flow", "graph", "--dtype", "bfloat16", "--channels-last"]},
    "cpu": {"as it comes": ["--flow", "fast"], "best": ["--flow", "fast", "--channels-last", "--workers", "2"]},
}


def torch(a, workload, form, seconds):
    space, stem, n = WORKLOADS[workload]
    cells = os.path.join(ROOT, "benches", "workloads", f"{space}_200.jsonl")
    command = [sys.executable, "-W", "ignore", os.path.join(HERE, "torch_naswot.py"), "time", cells, "--stem", str(stem),
               "--n", str(n), "--limit", str(a.limit), "--device", a.device, *form]
    if seconds < 1:
        return None
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        print(f"{workload}: PyTorch is not done after {seconds:.0f} s: left out", file=sys.stderr)
        return None
    return json.loads(done.stdout)["networks_per_second"] if done.returncode == 0 else None


def said(command):
    try:
        return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def write(path, figures):
    if path:
        with open(path, "w") as file:
            json.dump(figures, file, indent=1)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--backend", default="cuda", help="of naswot, one or several")
    p.add_argument("--device", choices=list(FORMS), default="cuda", help="of PyTorch")
    p.add_argument("--seconds", default="15", help="for each workload of naswot")
    p.add_argument("--limit", type=int, default=60, help="networks of each workload that PyTorch scores")
    p.add_argument("--timeout", type=float, default=40, help="seconds that PyTorch may take for them")
    p.add_argument("--budget", type=float, default=3600, help="seconds for everything: PyTorch is left out after them")
    p.add_argument("--workload", action="append", choices=list(WORKLOADS), help="instead of all six")
    p.add_argument("--naswot", default=os.path.join(ROOT, "target", "release", "naswot"), help="the command")
    p.add_argument("--json", help="where all figures go")
    a = p.parse_args()
    workloads = a.workload or list(WORKLOADS)
    end = time.monotonic() + a.budget

    bench = subprocess.run([a.naswot, "bench", "--backend", a.backend, "--seconds", a.seconds, "--workload",
                            ",".join(workloads), "--json", "-"], stdout=subprocess.PIPE, text=True)
    if bench.returncode:
        sys.exit(bench.returncode)
    figures = json.loads(bench.stdout)
    figures["date"] = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    figures["driver"] = said(["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"])
    have = importlib.util.find_spec("torch") is not None
    figures["torch"] = {workload: {} for workload in workloads if have}
    write(a.json, figures)
    # Form by form: where time runs out, each workload has a figure all the same.
    for name, form in FORMS[a.device].items():
        for workload, rates in figures["torch"].items():
            rates[name] = torch(a, workload, form, min(a.timeout, end - time.monotonic()))
            write(a.json, figures)

    columns = list(dict.fromkeys((row["backend"], row["precision"]) for row in figures["results"]))
    names = [" ".join(column) for column in columns] + [f"torch {name}" for name in FORMS[a.device]]
    print(f"networks per second; {figures['driver'] or figures['machine']['cpu']}, {figures['date']}")
    print(f"{'workload':<26}" + "".join(f"{name:>20}" for name in names) + f"{'ratio to best torch':>22}")
    for workload in workloads:
        ours = {(row["backend"], row["precision"]): row["networks_per_second"]["median"]
                for row in figures["results"] if row["workload"] == workload}
        theirs = [rate for rate in figures["torch"].get(workload, {}).values()]
        rates = [ours.get(column) for column in columns] + (theirs or [None] * len(FORMS[a.device]))
        known = [rate for rate in theirs if rate]
        ratio = f"{max(ours.values()) / max(known):.1f}" if known and ours else "-"
        print(f"{workload:<26}" + "".join(f"{f'{rate:.1f}' if rate else '-':>20}" for rate in rates) + f"{ratio:>22}")
    if not have:
        print("PyTorch is not installed for this Python: its columns are empty")


if __name__ == "__main__":
    main()
