"""A volume through the network: in batches and tiles, on any backend, within its memory ceiling."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import denoise_engine as engine
from denoise_engine.inference import (
    BYTES_A_PIXEL,
    FIXED_MEMORY,
    HALO,
    NetworkRunner,
    pixels_within,
    plan_tiles,
)
from denoise_engine.metrics import rmse
from denoise_engine.models import find_model, load_model
from denoise_engine.runtime import REFERENCE, choose_backend, has_bfloat16

Volume = NDArray[np.float32]
Noisy = tuple[Volume, float]
MIB = 2**20


def _runner(precision: str = "float32", memory: int = 512 * MIB) -> NetworkRunner:
    backend = choose_backend("cpu", precision)  # type: ignore[arg-type]
    return NetworkRunner(load_model(find_model("ddlr")).network, backend, memory)


def _level(volume: Volume, sigma: float) -> Volume:
    return np.broadcast_to(np.float32(sigma), volume.shape)


@pytest.mark.parametrize(("rows", "columns"), [(2048, 2048), (640, 512), (129, 700), (90, 40)])
@pytest.mark.parametrize("memory", [76 * MIB, 160 * MIB])
def test_tiles_cover_a_slice_once_and_stay_below_the_ceiling(
    rows: int, columns: int, memory: int
) -> None:
    covered = np.zeros((rows, columns), dtype=int)
    for tile in plan_tiles(rows, columns, pixels_within(memory)):
        covered[tile.core] += 1
        read = covered[tile.read]
        assert (read.shape[0] + 12) * (read.shape[1] + 12) <= pixels_within(memory)
        for core, part, length in zip(tile.core, tile.read, (rows, columns), strict=True):
            assert core.start - part.start >= min(HALO, core.start)
            assert part.stop - core.stop >= min(HALO, length - core.stop)
    assert (covered == 1).all()


@pytest.mark.parametrize("as_map", [False, True])
def test_tiles_equal_the_whole(noisy_lumbar: Noisy, as_map: bool) -> None:
    volume, sigma = noisy_lumbar
    level = _level(volume, sigma)
    if as_map:
        level = level * np.linspace(0.7, 1.5, volume.shape[2], dtype=np.float32)
    whole = _runner()(volume[:1], level[:1])
    tiled = _runner(memory=78 * MIB)(volume[:1], level[:1])
    assert len(plan_tiles(128, 128, pixels_within(78 * MIB))) > 1
    assert float(np.abs(tiled - whole).max()) <= 1e-5 * sigma


def test_too_low_a_ceiling_is_refused_with_the_least_that_will_do(noisy_lumbar: Noisy) -> None:
    with pytest.raises(engine.BackendError, match="allow at least 76 MiB"):
        engine.denoise(noisy_lumbar[0], noise=7.0, memory_limit=1 * MIB)


def test_batches_do_not_change_a_slice_and_report_every_one(noisy_lumbar: Noisy) -> None:
    volume = np.concatenate([noisy_lumbar[0]] * 2)[:, :64, :64]
    seen: list[tuple[int, int]] = []
    alone = [_runner()(plane[None], _level(plane[None], 7.0)) for plane in volume]
    some = FIXED_MEMORY + 3 * 76**2 * BYTES_A_PIXEL
    batched = _runner(memory=some)(
        volume, _level(volume, 7.0), lambda done, total: seen.append((done, total))
    )
    np.testing.assert_array_equal(batched, np.concatenate(alone))
    assert seen == [(3, 4), (4, 4)]


@pytest.mark.parametrize("precision", ["float32", "auto"])
def test_a_run_repeats_to_the_last_bit(noisy_lumbar: Noisy, precision: str) -> None:
    volume, sigma = noisy_lumbar
    first, second = (_runner(precision)(volume, _level(volume, sigma)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("factor", [1e-3, 0.37, 250.0])
def test_scaling_image_and_noise_scales_the_result(noisy_lumbar: Noisy, factor: float) -> None:
    volume, sigma = noisy_lumbar
    run = _runner()
    once = run(volume[:1], _level(volume[:1], sigma))
    scaled = run(volume[:1] * np.float32(factor), _level(volume[:1], sigma * factor))
    difference = np.abs(scaled / np.float32(factor) - once)
    assert float(difference.max()) <= 1e-5 * float(volume.max())


def test_the_faster_backend_stays_close_to_the_reference(noisy_lumbar: Noisy) -> None:
    volume, sigma = noisy_lumbar
    reference = _runner("float32")(volume, _level(volume, sigma))
    faster = _runner("bfloat16")(volume, _level(volume, sigma))
    assert 0 < rmse(faster, reference) < 0.05 * sigma


def test_a_level_of_its_own_for_each_slice(noisy_lumbar: Noisy) -> None:
    volume = noisy_lumbar[0]
    level = np.broadcast_to(np.array([5.0, 9.0], np.float32)[:, None, None], volume.shape)
    together = _runner()(volume, level)
    alone = [_runner()(volume[k : k + 1], level[k : k + 1]) for k in range(2)]
    np.testing.assert_array_equal(together, np.concatenate(alone))


def test_precision_auto_is_bfloat16_where_there_are_instructions_for_it() -> None:
    chosen = choose_backend("cpu")
    features = torch.cpu.get_capabilities()
    known = any(features.get(n) for n in ("avx512_bf16", "amx_bf16", "arm_bf16"))
    assert has_bfloat16("cpu") == known
    assert chosen.dtype == ("bfloat16" if known else "float32")
    assert (chosen == REFERENCE) == (not known)
    assert choose_backend("cpu", "float32") == REFERENCE
    with pytest.raises(engine.BackendError, match="no precision"):
        choose_backend("cpu", "int8")  # type: ignore[arg-type]
    with pytest.raises(engine.BackendError, match="no device"):
        choose_backend("tpu")  # type: ignore[arg-type]


_PEAK = """
import sys
import numpy as np
from denoise_engine.inference import NetworkRunner
from denoise_engine.models import find_model, load_model
from denoise_engine.runtime import choose_backend

def peak():
    with open("/proc/self/status") as status:
        return next(1024 * int(line.split()[1]) for line in status if line.startswith("VmHWM"))

ceiling = int(sys.argv[1])
backend = choose_backend("cpu", sys.argv[2])
run = NetworkRunner(load_model(find_model("ddlr")).network, backend, ceiling)
image = np.full((1, 240, 240), 10, np.float32)
level = np.linspace(1, 2, image.size, dtype=np.float32).reshape(image.shape)
run(image[:, :32, :32], level[:, :32, :32])
before = peak()
run(image, level)
print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_network_stays_below_its_memory_ceiling(precision: str) -> None:
    ceiling = 100 * MIB
    done = subprocess.run(
        [sys.executable, "-c", _PEAK, str(ceiling), precision],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert 4 * MIB < int(done.stdout) <= ceiling
