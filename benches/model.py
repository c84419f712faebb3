#!/usr/bin/env python3
"""Predicts networks a second of the CUDA path on GPUs that are not there, from what the kernels do on the emulated one.

    cargo build --release && tests/setup.sh
    python3 benches/model.py                                  # all workloads, some ten minutes
    python3 benches/model.py --workload nasbench101-stem16-n32 --json model.json
    python3 benches/model.py --counts counts.json             # keeps what was counted, and takes it from there again

A workload's plans (`naswot plan --json`) say how many networks make a group. Its first networks run on the emulated GPU
(tests/cuda_emulator) in batches of --images, for the counters of each launch; these grow by the images and, to those of a group
of mean networks, by the plans' multiply-accumulates (conv) and traffic (combine). The first CHECKED networks, run in whole
batches of 32 as well, say how far that is true. A launch then takes as long as the most loaded of issue slots, load/store
units, tensor cores and memory. Nothing here was measured on a GPU: the constants below are assumptions, each to be replaced
by a measurement, and figures are shown as the model has them and times REACHED. Python's standard library is all it needs."""
import argparse, collections, dataclasses, json, math, os, statistics, subprocess, sys, tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
EMULATED = os.path.join(ROOT, "tests", "cuda_emulator", "run.sh")
WORKLOADS = {
    f"{space}{f'-stem{stem}' if space == 'nasbench101' else ''}-n{n}": (space, stem, n)
    for space, stem in [("nasbench101", 16), ("nasbench101", 128), ("nasbench201", 16)]
    for n in [32, 128]
}


@dataclasses.dataclass
class Chip:
    """A GPU: bytes that a copy moves in a second, bytes of memory, multiprocessors, their clock."""
    copy: float
    memory: float
    multiprocessors: int = 132
    clock: float = 1.755e9


CHIPS = {"H200": Chip(4.3e12, 141e9), "H100": Chip(3.0e12, 80e9)}

# Assumptions.
# Networks a second of a real run, of what the model has: such models leave out more than they count twice.
REACHED = 0.6
# Shares of issue slots, of load/store turns, of tensor cores and of a copy's rate that a launch reaches which is bound by them.
# Issue slots by warps of a scheduler: fewer hide less latency.
ISSUE = {0: 0.0, 1: 0.25, 2: 0.44, 3: 0.58, 4: 0.65}
LSU, TENSOR, COPY = 0.8, 0.8, 0.85
# Warp instructions of machine code for each of PTX, which the emulator counts. Of conv, whose loops the compiler unrolls before
# it writes PTX: those of the binary for sm_90a by those of its PTX. Of combine, whose loops it unrolls after it: the
# instructions an octet of combine.cu's header, over the jobs of a network, by what the emulator counts for them.
MACHINE = {"conv": 0.83, "combine": 0.79, "windows": 0.79}
# Cycles of a multiprocessor for an mma: of bf16, at 62.9 % of 2048 multiplications a cycle; of bits.
MMA = {"mma.f16": 16 * 8 * 16 / (2048 * 0.629), "mma.b1": 1 / 0.54}
# Seconds from one launch of a stream to the next, and of the host to make one.
GAP, HOST = 1.5e-6, 2.2e-6
# Cycles of a block beside its instructions: memory's latency, a few times. Of Cholesky, which waits for itself: a column.
LATENCY, COLUMN = 2500, 260
# Groups in flight; how much of gaps and of ends of launches the others do not fill.
IN_FLIGHT, GAPS, ENDS = 3, 0.10, 0.15

# Multiply-accumulates that are emulated of a workload, of at least some networks; networks that are run in whole batches too.
EMULATED_MACS, LEAST_NETWORKS, CHECKED = 2e9, 4, 4

# Blocks that run at once on a multiprocessor, as the kernels' launch bounds have it, and warps of one.
RESIDENT = {"conv": 4, "combine": 8, "windows": 8, "combine_any": 4, "conv_any": 2, "agreement": 4, "agreement_b1": 5}
# A group is full when the median convolution of the smallest images has so many blocks for each that runs at once.
FULL, MOST_NETWORKS = 4, 256


def family(kernel):
    """The kernel without the width of its images."""
    return kernel.rsplit("_", 1)[0] if kernel.rsplit("_", 1)[-1].isdigit() else kernel


def naswot(a, *arguments, emulated=False, **environment):
    command = ([EMULATED] if emulated else []) + [a.naswot, *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env={**os.environ, **environment})
    if done.returncode:
        sys.exit(f"model.py: {' '.join(command)}: failed with status {done.returncode}")
    return done.stdout


# Plans.

def plans(a, workload):
    space, stem, n = WORKLOADS[workload]
    cells = os.path.join(ROOT, "benches", "workloads", f"{space}_200.jsonl")
    lines = naswot(a, "plan", cells, "--json", "--stem", str(stem), "--batch-size", str(n)).splitlines()
    return [json.loads(line) for line in lines]


def octets(channels):
    return -(-channels // 8)


def traffic(plan):
    """Numbers of activations that the jobs read and write for an image, each once, in whole octets."""
    pixels = lambda tensor: plan["tensors"][tensor]["shape"]["height"] * plan["tensors"][tensor]["shape"]["width"]
    whole = lambda tensor: pixels(tensor) * plan["tensors"][tensor]["pitch"]
    numbers = 0
    for row in plan["jobs"]:
        job = row["job"]
        if row["stage"] == "conv":
            numbers += whole(job["input"]) + pixels(job["output"]) * sum(part["octets"] for part in job["parts"])
        else:
            numbers += sum(pixels(term["tensor"]) * octets(term["channels"]) for term in job["terms"])
            numbers += 0 if job["output"] is None else whole(job["output"])
    return 8 * numbers


def work(plan):
    """What a network costs: multiply-accumulates and bytes an image, code bits, jobs."""
    stages = collections.Counter(row["stage"] for row in plan["jobs"])
    return {"macs": plan["macs"], "bytes": 4 * traffic(plan), "code_bits": plan["activations"],
            "convs": stages["conv"], "combines": stages["combine"], "slots": plan["slots"]}


def conv_blocks(plan, row):
    """Blocks of a convolution on tensor cores, as src/backend/group/forms.rs cuts it."""
    job, count = row["job"], sum(part["octets"] for part in row["job"]["parts"])
    tile = 64 if job["stride"] != [1, 1] or count > 4 else 128 if count > 2 else 256
    shape = plan["tensors"][job["output"]]["shape"]
    return -(-plan["batch"] * shape["height"] * shape["width"] // tile) * -(-count // 8)


def memory(plan):
    numbers = plan["memory"]
    return 4 * sum(numbers.values()) - 4 * numbers["scratch"]


def group_size(all_plans, chip):
    """Networks of a group: until its launches are full, or its share of the memory is."""
    blocks, used, room = collections.Counter(), 0, 0.9 * chip.memory / IN_FLIGHT
    for count, plan in enumerate(all_plans[:MOST_NETWORKS]):
        used += memory(plan)
        if count and used > room:
            return count
        convs = [row for row in plan["jobs"] if row["stage"] == "conv"]
        smallest = min(row["slot"]["height"] for row in convs) if convs else 0
        for row in convs:
            if row["slot"]["height"] == smallest:
                blocks[tuple(row["slot"].values())] += conv_blocks(plan, row)
        if blocks and statistics.median_high(blocks.values()) >= FULL * chip.multiprocessors * RESIDENT["conv"]:
            return count + 1
    return min(len(all_plans), MOST_NETWORKS)


# Counters.

def emulate(a, workload, networks, images, tries=5):
    """Launches of the first networks of a workload, as one group in a batch of so many images."""
    space, stem, _ = WORKLOADS[workload]
    with open(os.path.join(ROOT, "benches", "workloads", f"{space}_200.jsonl"), encoding="utf-8") as file:
        cells = [line for line, _ in zip(file, range(networks))]
    with tempfile.TemporaryDirectory() as folder:
        path, report = os.path.join(folder, "cells.jsonl"), os.path.join(folder, "report.json")
        with open(path, "w", encoding="utf-8") as file:
            file.writelines(cells)
        naswot(a, "score", path, "--backend", "cuda", "--stem", str(stem), "--batch-size", str(images), "--group-size",
               str(networks), "-q", emulated=True, EMULATED_CUDA_REPORT=report, EMULATED_CUDA_REPORT_LAUNCHES="1",
               EMULATED_CUDA_MEMORY="64G", EMULATED_CUDA_CHIP="H100")
        with open(report, encoding="utf-8") as file:
            launches = json.load(file)["launches"]
    # On a busy machine networks may come so slowly that an idle device starts before all are there.
    if [launch["kernel"] for launch in launches].count("start") == 1:
        return [launch_counts(launch) for launch in launches]
    if tries == 1:
        sys.exit(f"model.py: the first {networks} networks of {workload} ran as several groups, not one: run it alone")
    return emulate(a, workload, networks, images, tries - 1)


def launch_counts(launch):
    """What of a launch's counters the model needs."""
    of = lambda name: launch["classes"].get(name, {"warps": 0})["warps"]
    shared = sum(launch[kind]["wavefronts"] for kind in ["shared_reads", "shared_writes", "shared_atomics"])
    sectors = sum(launch[kind]["sectors"] for kind in ["global_reads", "global_writes", "global_atomics"])
    return {
        "kernel": launch["kernel"],
        "blocks": math.prod(launch["grid"]),
        "warps": math.prod(launch["block"]) // 32,
        "instructions": launch["warp_instructions"],
        # A turn of the load/store units moves 128 bytes.
        "turns": shared + sectors / 4,
        "sectors": sectors,
        "bytes": launch["unique_bytes_read"] + launch["unique_bytes_written"],
        **{name: of(name) for name in MMA},
    }


def is_layer(launch):
    """Whether a launch is of a stage whose work grows by the images."""
    return family(launch["kernel"]).split("_")[0] in ("conv", "combine", "windows")


def scaled(launch, times):
    return {key: value * times if isinstance(value, (int, float)) and key != "warps" else value
            for key, value in launch.items()}


def rest(a, space, images):
    """The launches whose work does not grow by the images, of one network in a whole batch: agreement and Cholesky."""
    launches = emulate(a, f"{space}-stem16-n32" if space == "nasbench101" else f"{space}-n32", 1, images)
    return [launch for launch in launches if not is_layer(launch)]


def deviation(a, workload):
    """How far counters that have grown by the images are from those of a whole batch."""
    n = WORKLOADS[workload][2]
    small, whole = (emulate(a, workload, CHECKED, images) for images in (a.images, n))
    total = lambda launches, key: sum(launch[key] for launch in launches if is_layer(launch))
    return {key: total(small, key) * n / a.images / total(whole, key) - 1 for key in ("instructions", "turns", "sectors", "bytes")}


def grown(launches, all_plans, networks, size, images):
    """Launches of the first networks as a group of so many mean ones would have them, in whole batches."""
    group = all_plans[0]["batch"] / images * size / networks
    mean = lambda of, some: statistics.mean(of(plan) for plan in some)
    by = {name: group * mean(of, all_plans) / mean(of, all_plans[:networks])
          for name, of in [("conv", lambda plan: plan["macs"]), ("combine", traffic)]}
    return [scaled(launch, by["conv" if launch["kernel"].startswith("conv") else "combine"]) for launch in launches]


# Time.

def efficiency(warps):
    """The share of issue slots that so many warps of a scheduler reach."""
    warps = min(warps, max(ISSUE))
    below = math.floor(warps)
    above = min(below + 1, max(ISSUE))
    return ISSUE[below] + (warps - below) * (ISSUE[above] - ISSUE[below])


def loads(chip, launch, multiprocessors, issue):
    """Seconds that a launch needs of each resource, on so many multiprocessors."""
    cycles = multiprocessors * chip.clock
    instructions = launch["instructions"] * MACHINE.get(family(launch["kernel"]), 1.0)
    return {
        "issue": instructions / (4 * cycles * issue),
        "load/store": launch["turns"] / (cycles * LSU),
        "tensor": sum(launch[name] * MMA[name] for name in MMA) / (cycles * TENSOR),
        "memory": launch["bytes"] / (chip.copy * COPY),
    }


def layer(chip, launch):
    """A launch of conv or combine: its time among others, which fill what it leaves, its bound, its time alone, its end."""
    together = loads(chip, launch, chip.multiprocessors, max(ISSUE.values()))
    bound = max(together, key=together.get)
    resident = RESIDENT[family(launch["kernel"])]
    # Few blocks leave multiprocessors or schedulers idle.
    used = min(launch["blocks"], chip.multiprocessors)
    warps = min(resident, launch["blocks"] / used) * launch["warps"] / 4
    alone = max(loads(chip, launch, used, efficiency(warps)).values())
    block = launch["instructions"] * MACHINE.get(family(launch["kernel"]), 1.0) / launch["blocks"] / 4
    end = 0.5 * (1.5 * block + LATENCY) / chip.clock
    return together[bound], bound, alone, end


def predict(chip, all_plans, size, layers, rest, counted_words):
    """Microseconds a network by stage and bound, and networks a second, in groups of so many."""
    n = all_plans[0]["batch"]
    stages, bounds = collections.Counter(), collections.Counter()
    chain = ends = 0.0
    for launch in layers:
        together, bound, alone, end = layer(chip, launch)
        ends += end
        chain += alone + end + GAP
        stages[family(launch["kernel"])] += together
        bounds[family(launch["kernel"]), bound] += together
    # One network's agreement, by code words.
    words = statistics.mean(plan["code_words"] for plan in all_plans) / counted_words
    for launch in rest:
        if launch["kernel"].startswith("agreement"):
            needs = loads(chip, scaled(launch, size * words), chip.multiprocessors, max(ISSUE.values()))
            bound = max(needs, key=needs.get)
            bounds["agreement", bound] += needs[bound]
            stages["agreement"] += needs[bound]
            chain += needs[bound]
    # Every K is a warp or a block that waits for itself, beside those of the other networks.
    share = size / chip.multiprocessors
    cholesky = max(1, share) * (n * COLUMN + 2000) / chip.clock
    stages["cholesky"] = cholesky * 0.25 * min(1, share)
    launches = len(layers) + len(rest)
    chain += cholesky + len(rest) * GAP
    idle = ENDS * ends + GAPS * launches * GAP
    work_time = sum(stages.values()) + idle
    time = max(work_time, chain / IN_FLIGHT, launches * HOST)
    us = lambda seconds: 1e6 * seconds / size
    return {
        "group": size,
        "launches": launches,
        "us": {stage: us(seconds) for stage, seconds in stages.items()},
        "bounds": {f"{kernel}: {bound}": us(seconds) for (kernel, bound), seconds in bounds.items()},
        "us_idle": us(idle),
        "us_work": us(work_time),
        "us_chain": us(chain),
        "networks_per_second": size / time,
        "reached": REACHED * size / time,
    }


class Kept:
    """Counters in a file, which are counted once."""

    def __init__(self, path):
        self.path, self.all = path, {}
        if path and os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                self.all = json.load(file)

    def get(self, key, make):
        if key not in self.all:
            print(f"emulates {key} ..", file=sys.stderr, flush=True)
            self.all[key] = make()
            if self.path:
                with open(self.path, "w", encoding="utf-8") as file:
                    json.dump(self.all, file)
        return self.all[key]


# Tables.

def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def round3(value):
    """Three digits: more would be a claim."""
    if value == 0:
        return "0"
    digits = 2 - math.floor(math.log10(abs(value)))
    return f"{round(value, digits):,.{max(digits, 0)}f}"


def tables(figures):
    """The figures as Markdown."""
    out = ["Networks a second, predicted and never measured: the model's, and what of it is to be expected.\n"]
    chips = list(CHIPS)
    rows = []
    for name, figure in figures.items():
        cells = []
        for chip in chips:
            of = figure["chips"][chip]
            cells += [str(of["group"]), round3(of["networks_per_second"]), round3(of["reached"])]
        rows.append([name, *cells])
    out.append(table(["workload", *(f"{chip}{what}" for chip in chips for what in (" group", "", f" x {REACHED}"))], rows))
    out.append(f"Microseconds a network, {chips[0]}.\n")
    names = sorted({stage for figure in figures.values() for stage in figure["chips"][chips[0]]["us"]})
    rows = []
    for name, figure in figures.items():
        of = figure["chips"][chips[0]]
        rows.append([name, *(round3(of["us"].get(stage, 0)) for stage in names), round3(of["us_idle"]),
                     round3(of["us_work"]), round3(of["us_chain"] / IN_FLIGHT)])
    out.append(table(["workload", *names, "ends and gaps", "all", f"a group alone / {IN_FLIGHT}"], rows))
    bounds = [figure["chips"][chips[0]]["bounds"] for figure in figures.values()]
    names = sorted({name for of in bounds for name, us in of.items() if us > 0.005 * sum(of.values())})
    rows = [[workload, *(f"{100 * of.get(name, 0) / sum(of.values()):.0f} %" for name in names)]
            for workload, of in zip(figures, bounds)]
    out.append(f"Shares of that time by kernel and by what bounds its launches, {chips[0]}.\n")
    out.append(table(["workload", *names], rows))
    out.append("What a network costs, means: MAC, bytes of activations in f32 and code bits for an image; emulated, for the batch.\n")
    rows = []
    for name, figure in figures.items():
        mean, per = figure["work"], figure["counted"]
        rows.append([name, f"{mean['macs'] / 1e6:.1f} M", f"{mean['bytes'] / 1e6:.2f} MB", f"{mean['code_bits'] / 1e3:.0f} k",
                     f"{mean['convs']:.1f} + {mean['combines']:.1f}",
                     *(f"{per[key] / 1e6:.1f} M" for key in ("instructions", "turns", "mma.f16", "sectors")),
                     f"{per['bytes'] / 1e6:.0f} MB"])
    out.append(table(["workload", "MAC", "traffic", "code bits", "conv + combine jobs", "warp instructions (PTX)", "load/store turns",
                      "mma", "sectors", "memory"], rows))
    for name, figure in figures.items():
        if figure["deviation"]:
            each = ", ".join(f"{key} {100 * by:+.1f} %" for key, by in figure["deviation"].items())
            out.append(f"Counters that have grown by the images, against those of whole batches, {CHECKED} networks of {name}: {each}.\n")
    return "\n".join(out)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--naswot", default=os.path.join(ROOT, "target", "release", "naswot"), help="the command")
    p.add_argument("--workload", action="append", choices=list(WORKLOADS), help="instead of all six")
    p.add_argument("--images", type=int, default=4, help="of the emulated batch: 4 or more, so that tiles of conv are full")
    p.add_argument("--group", type=int, help="networks of a group, instead of the rule's")
    p.add_argument("--counts", help="file of what was counted, read where it is there, else written")
    p.add_argument("--json", help="where all figures go")
    a = p.parse_args()
    a.naswot = os.path.abspath(a.naswot)
    kept = Kept(a.counts)
    figures = {}
    for workload in a.workload or list(WORKLOADS):
        space, stem, n = WORKLOADS[workload]
        all_plans = plans(a, workload)
        each = [work(plan) for plan in all_plans]
        mean = {key: statistics.mean(of[key] for of in each) for key in each[0]}
        sizes = {name: min(a.group or group_size(all_plans, chip), MOST_NETWORKS) for name, chip in CHIPS.items()}
        # A group shares launches: more networks than it has would have launches that it lacks.
        networks = min(max(LEAST_NETWORKS, round(EMULATED_MACS / mean["macs"] / a.images)), *sizes.values(), len(all_plans))
        key = f"{space} stem {stem}, {networks} networks, {a.images} images"
        launches = kept.get(key, lambda: emulate(a, workload, networks, a.images))
        launches = [launch for launch in launches if is_layer(launch)]
        others = kept.get(f"{space}, 1 network, {n} images", lambda: rest(a, space, n))
        others = [launch for launch in others if launch["kernel"] != "weights"]
        words = all_plans[0]["code_words"] * 16 / stem
        groups = {name: grown(launches, all_plans, networks, size, a.images) for name, size in sizes.items()}
        first = next(iter(CHIPS))
        figures[workload] = {
            "chips": {name: predict(chip, all_plans, sizes[name], groups[name], others, words) for name, chip in CHIPS.items()},
            "work": mean,
            "counted": {key: sum(launch[key] for launch in groups[first]) / sizes[first]
                        for key in ("instructions", "turns", "mma.f16", "sectors", "bytes")},
            "deviation": None,
        }
        if stem == 16 and n == 32:
            check = f"{space}, {CHECKED} networks in {a.images} and {n} images"
            figures[workload]["deviation"] = kept.get(check, lambda: deviation(a, workload))
    if a.json:
        with open(a.json, "w", encoding="utf-8") as file:
            json.dump(figures, file, indent=1)
    print(tables(figures))


if __name__ == "__main__":
    main()
