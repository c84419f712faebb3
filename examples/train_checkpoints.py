#!/usr/bin/env python3
"""Trains one cell with PyTorch and writes a checkpoint for every epoch, to be scored by `naswot trace`.

    naswot sample --space nasbench101 -n 1 > cell.jsonl
    python3 examples/train_checkpoints.py cell.jsonl run --epochs 20
    naswot trace run/epoch*.safetensors --arch cell.jsonl --data npy:run/images.npy --plot trace.svg

Needs torch, numpy and safetensors, and benches/peer/torch_naswot.py of this repository, which builds the networks
with the parameter names of the benchmarks' public PyTorch code.

Checkpoints are named epoch000.safetensors (untrained), epoch001.safetensors and so on, with the epoch in their metadata.
images.npy holds the first training images, normalised as the network saw them.

Data: `synthetic`, which needs no file: ten kinds of stripes, by direction and width, over leaves of random colors, for
naswot's own synthetic images have no classes; or `cifar10:PATH`, a file of CIFAR-10's binary version or a folder with
data_batch_1.bin to data_batch_5.bin.
"""
import argparse
import json
import pathlib
import sys
import time

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "benches" / "peer"))
from torch_naswot import build  # noqa: E402

CLASSES = 10
MEAN, DEVIATION = np.array([125.3, 123.0, 113.9]), np.array([63.0, 62.1, 66.7])


def synthetic(n, rng):
    """Labelled images, normalised: n x 3 x 32 x 32, and their classes."""
    rows, columns = np.mgrid[0:32, 0:32]
    images, classes = np.empty((n, 3, 32, 32), np.float32), rng.integers(0, CLASSES, n)
    for image, kind in zip(images, classes):
        image[:] = rng.normal(size=(3, 1, 1))
        for _ in range(rng.integers(4, 12)):
            y, x, radius = rng.uniform(0, 32), rng.uniform(0, 32), rng.uniform(3, 12)
            leaf = (rows - y) ** 2 + (columns - x) ** 2 < radius**2
            image[:, leaf] = rng.normal(size=(3, 1))
        # Five directions, two widths; phase, color and contrast are no help.
        angle = np.pi * (kind % 5) / 5 + rng.normal() * 0.1
        along = rows * np.sin(angle) + columns * np.cos(angle)
        stripes = np.sin(along * (0.6 if kind < 5 else 1.2) + rng.uniform(0, 2 * np.pi))
        image += rng.normal(size=(3, 1, 1)) * 0.5 + rng.uniform(0.3, 0.8) * stripes
        image += rng.normal(size=image.shape) * 0.4
    return images, classes


def cifar10(path, n):
    """The first images of CIFAR-10's binary records, normalised, and their classes."""
    path = pathlib.Path(path)
    files = [path / f"data_batch_{i}.bin" for i in range(1, 6)] if path.is_dir() else [path]
    records = np.concatenate([np.fromfile(file, np.uint8).reshape(-1, 3073) for file in files])[:n]
    pixels = records[:, 1:].reshape(-1, 3, 32, 32).astype(np.float32)
    images = (pixels - MEAN[:, None, None]) / DEVIATION[:, None, None]
    return images.astype(np.float32), records[:, 0].astype(np.int64)


def save(net, folder, epoch):
    tensors = {name: tensor.contiguous() for name, tensor in net.state_dict().items()}
    save_file(tensors, folder / f"epoch{epoch:03}.safetensors", metadata={"epoch": str(epoch)})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cell", help="architectures, one JSON object a line; the first is trained")
    parser.add_argument("folder", type=pathlib.Path, help="where checkpoints go; made where there is none")
    parser.add_argument("--data", default="synthetic", help="synthetic (default) or cifar10:PATH")
    parser.add_argument("--images", type=int, default=2048, help="training images (default 2048)")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--rate", type=float, default=0.1, help="learning rate, falling to 0 as a cosine (default 0.1)")
    parser.add_argument("--stem", type=int, default=16, help="as `naswot --stem` (default 16)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    torch.manual_seed(options.seed)
    rng = np.random.default_rng(options.seed)
    kind, _, path = options.data.partition(":")
    if kind == "synthetic":
        images, classes = synthetic(options.images, rng)
    elif kind == "cifar10" and path:
        images, classes = cifar10(path, options.images)
    else:
        parser.error("--data is synthetic or cifar10:PATH")
    line = next(line for line in open(options.cell) if line.strip())
    net = build(line, options.stem)
    net.classifier = nn.Linear(net.classifier.in_features, CLASSES)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    net.to(device)

    options.folder.mkdir(parents=True, exist_ok=True)
    np.save(options.folder / "images.npy", images[:128])
    save(net, options.folder, 0)
    images, classes = torch.from_numpy(images).to(device), torch.from_numpy(classes).to(device)
    steps = options.epochs * -(-len(images) // options.batch_size)
    optimiser = torch.optim.SGD(net.parameters(), options.rate, momentum=0.9, nesterov=True, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    start = time.perf_counter()
    for epoch in range(1, options.epochs + 1):
        net.train()
        right = 0
        for batch in torch.randperm(len(images)).split(options.batch_size):
            optimiser.zero_grad()
            logits = net(images[batch])
            loss = F.cross_entropy(logits, classes[batch])
            loss.backward()
            optimiser.step()
            schedule.step()
            right += (logits.argmax(1) == classes[batch]).sum().item()
        save(net, options.folder, epoch)
        accuracy, seconds = right / len(images), time.perf_counter() - start
        print(json.dumps({"epoch": epoch, "training_accuracy": round(accuracy, 4), "seconds": round(seconds, 1)}), flush=True)


if __name__ == "__main__":
    main()
