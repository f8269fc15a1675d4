"""The paired table of the 7 T-like generators."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from benchmarks.transfer_site.cases import AS_IT_IS
from benchmarks.transfer_site.parts import WITH_JUDGE, WITHOUT_JUDGE, pairs
from denoise_engine.transfer.evaluation import Quality

SLICES = 96


def _quality(psnr: float, ssim: float) -> Quality:
    none = {"GM": 0.0, "WM": 0.0, "CSF": 0.0}
    of_slices = [psnr + 0.01 * (k % 7) for k in range(SLICES)]
    return Quality(
        psnr,
        ssim,
        ssim,
        1,
        none,
        none,
        none,
        1,
        1,
        of_slices,
        [ssim + 0.001 * k for k in range(SLICES)],
    )


def test_the_generator_is_compared_with_its_twin_directly_and_not_only_with_the_scan() -> None:
    head = SimpleNamespace(spacing=(1.0, 1.0, 1.0))
    case: Any = SimpleNamespace(baseline=AS_IT_IS, reference=SimpleNamespace(head=head))
    plain = _quality(26, 0.8)
    better = replace(
        plain,
        psnr_of_slices=[p + 0.3 for p in plain.psnr_of_slices],
        ssim_of_slices=[s + 0.01 for s in plain.ssim_of_slices],
    )
    found = {AS_IT_IS: _quality(24, 0.7), WITH_JUDGE: better, WITHOUT_JUDGE: plain}
    rows = pairs(case, found)
    (direct,) = [row for row in rows if row.startswith(f"| {WITH_JUDGE} less {WITHOUT_JUDGE} ")]
    assert "| 12 | +0.300" in direct
    assert "| +0.010" in direct
    assert sum(row.startswith("| 7t-like") for row in rows) == 3
    del found[WITHOUT_JUDGE]
    assert not any(" less 7t" in row for row in pairs(case, found))
