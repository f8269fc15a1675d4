"""Seconds and memory of a whole volume: each network in a process of its own."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.transfer_site.report import Report
from denoise_engine.models import available_models
from denoise_engine.transfer.enhance import enhance_with
from denoise_engine.transfer.forward import THICK, THREE_TESLA, degrade
from denoise_engine.transfer.heads import load_heads
from denoise_engine.transfer.models import LoadedTransfer, load_transfer_file

ROOT = Path(__file__).resolve().parents[2]
CORES = 2


def resource_table(
    report: Report, data: Path, manifest: Path, networks: dict[str, LoadedTransfer]
) -> None:
    """A whole volume in a fresh process on two cores: seconds and peak memory."""
    report.begin(f"Seconds and memory of a whole volume on {CORES} cores", networks)
    report.say(
        "The validation head (0.88 mm) in a process of its own, patches of 96, overlap 25 %, no "
        "samples; each sample of the parameter uncertainty takes as long again. Seconds on the "
        "clock depend on what else the machine did; those of the processor hardly.",
        "",
        "| network | scan | factor | seconds on the clock | of the processor | peak memory, MiB |",
        "| --- | --- | --- | --- | --- | --- |",
    )
    for name in networks:
        done = subprocess.run(
            [sys.executable, "-m", __name__, str(data), str(manifest), name],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        found = json.loads(done.stdout.splitlines()[-1])
        shape = " × ".join(str(n) for n in found["scan"])
        report.say(
            f"| {name} | {shape} | {found['factor']} | {found['wall']:.0f} | {found['cpu']:.0f} | "
            f"{found['MiB']:.0f} |"
        )
        report.figures[f"resources/{name}"] = found


def measured(data: Path, manifest: Path, name: str) -> dict[str, object]:
    """One network, in this process."""
    torch.set_num_threads(CORES)
    network = load_transfer_file(available_models(manifest)[name])
    head = load_heads(data, "validation")[0]
    factor = max(network.card["architecture"]["factors"])
    thin = head.volume[: len(head.volume) // 8 * 8]
    how = THREE_TESLA[1] if factor == 1 else THICK[factor]
    scan = degrade(thin, how, head.tissues, np.random.default_rng(1))
    del thin
    spacing = (factor * head.spacing[0], *head.spacing[1:])
    wall, cpu = time.perf_counter(), time.process_time()
    enhance_with(network, scan, spacing, factor=factor)
    return {
        "scan": list(scan.shape),
        "factor": factor,
        "wall": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu,
        "MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


if __name__ == "__main__":
    print(json.dumps(measured(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])))
