"""Quality, sharpness and warning maps of ``benchmarks/transfer.py``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import matplotlib

from benchmarks.transfer_site.cases import Case, Enhanced
from benchmarks.transfer_site.oracle import NEAR, WIDE, oracle
from benchmarks.transfer_site.report import Report
from denoise_engine.transfer.calibration import Reliability, flagging, reliability
from denoise_engine.transfer.evaluation import Quality, judge

matplotlib.use("Agg")
import matplotlib.pyplot as plt

OVER_REST, OVER_GRADIENT, SHARE = 2.0, 1.2, 0.1
WITH_JUDGE, WITHOUT_JUDGE = "7t-like-gan", "7t-like-plain"
# Of the sources, on their own data, low field to 3 T: no mark can be taken over as it stands.
PUBLISHED = (
    "the sources tell 27.8 to 30.8 dB and SSIM 0.62 to 0.74, of scans of both fields, with other "
    "masks and peaks; without air and with this peak figures are lower, and not comparable"
)


def quality_table(report: Report, case: Case, made: dict[str, Enhanced]) -> None:
    """One scan: every method against the head itself."""
    found = {name: judge(one.volume, case.reference) for name, one in made.items()}
    networks = [name for name in found if name != case.baseline]
    report.begin(case.title, networks)
    report.say(
        f"{case.described} In the brain; peak: its 99.9th percentile; RMSE in % of the mean of "
        f"grey and white matter; {PUBLISHED}.",
        "",
        "| method | PSNR, dB | SSIM, slices | SSIM, 3-D | RMSE, % | GM, mm³ | WM, mm³ | CSF, mm³ | "
        "bias GM / WM / CSF, % | Dice GM / WM / CSF |",
        "| --- |" + " --- |" * 9,
        *(f"| {name} | {_row(quality)} |" for name, quality in found.items()),
        "",
        "Sharpness: energy of fine detail (of 1 voxel) in % of the head's own, wherever it comes "
        "from; the share of the head's own detail that is found again; and the energy of what the "
        "detail differs by from the head's, missing, made up and noise together: 0 is the head, "
        "100 as far from it as no detail at all. An energy above the share is noise, or made up; "
        "one below it does not tell that nothing was.",
        "",
        "| method | energy of detail, % | of the head's found again, % | wrong or missing, % |",
        "| --- | --- | --- | --- |",
        *(
            f"| {name} | {q.detail:.0f} | {q.true_detail:.0f} | {q.detail_error:.0f} |"
            for name, q in found.items()
        ),
        "",
        *pairs(case, found),
    )
    report.figures[case.key] = {
        name: {
            "psnr": q.psnr,
            "ssim": q.ssim,
            "ssim_3d": q.ssim_3d,
            "rmse": q.rmse,
            "volumes": q.volumes,
            "bias": q.bias,
            "dice": q.dice,
            "detail": q.detail,
            "true_detail": q.true_detail,
            "detail_error": q.detail_error,
        }
        for name, q in found.items()
    }
    if case.factor == 1:
        return
    before = found[case.baseline]
    for name in networks:
        better = {
            "PSNR": found[name].psnr - before.psnr,
            "SSIM": found[name].ssim - before.ssim,
            "RMSE": before.rmse - found[name].rmse,
            "Dice": _mean(found[name].dice) - _mean(before.dice),
        }
        report.mark(
            name,
            f"above cubic, {case.title}",
            ", ".join(f"{what} {gain:+.3f}" for what, gain in better.items()),
            min(better.values()) > 0,
        )


def _row(q: Quality) -> str:
    def three(values: dict[str, float], form: str) -> str:
        return " / ".join(form.format(v) for v in values.values())

    volumes = " | ".join(f"{v:,.0f}" for v in q.volumes.values())
    return (
        f"{q.psnr:.2f} | {q.ssim:.3f} | {q.ssim_3d:.3f} | {q.rmse:.2f} | {volumes} | "
        f"{three(q.bias, '{:+.1f}')} | {three(q.dice, '{:.3f}')}"
    )


def pairs(case: Case, found: dict[str, Quality]) -> list[str]:
    """Paired by slices 8 mm apart; of one person, so what they tell is that person's brain."""
    from analysis import hodges_lehmann

    apart = case.reference.head.spacing[0]
    step = max(1, round(8 / apart))
    before = found[case.baseline]
    lines = [
        f"Paired by slices {step * apart:.1f} mm apart, network less {case.baseline} "
        "(Hodges-Lehmann shift, 95 % interval). Slices of one head: nothing follows for other "
        "people.",
        "",
        "| network | slices | PSNR, dB | SSIM |",
        "| --- | --- | --- | --- |",
    ]
    compared = [(name, before, later) for name, later in found.items() if name != case.baseline]
    if {WITH_JUDGE, WITHOUT_JUDGE} <= found.keys():
        # What the second network adds is told by these two, not by each against the scan.
        direct = f"{WITH_JUDGE} less {WITHOUT_JUDGE}"
        compared.append((direct, found[WITHOUT_JUDGE], found[WITH_JUDGE]))
    for name, less, quality in compared:
        shifts = [
            hodges_lehmann(earlier[::step], later[::step])
            for earlier, later in (
                (less.psnr_of_slices, quality.psnr_of_slices),
                (less.ssim_of_slices, quality.ssim_of_slices),
            )
        ]
        cells = []
        for shift in shifts:
            between = (
                f" ({shift.interval.low:+.3f} to {shift.interval.high:+.3f})"
                if shift.interval
                else ""
            )
            cells.append(f"{shift.value:+.3f}{between}")
        lines.append(f"| {name} | {shifts[0].n} | {cells[0]} | {cells[1]} |")
    return lines


def _mean(values: dict[str, float]) -> float:
    return sum(values.values()) / len(values)


def warning_tables(
    report: Report, case: Case, made: dict[str, Enhanced], plots: dict[str, Path]
) -> None:
    """Expected against observed error, and what flagging a tenth of the brain finds.

    The marks are set for the map that is shown: both uncertainties together, or the intrinsic one
    where no samples were asked for.
    """
    brain, truth = case.reference.priors.brain, case.reference.head.volume
    unit = 100 / case.reference.head.tissues.mean
    both = any(one.parameter is not None for one in made.values())
    what = "Intrinsic and parameter uncertainty together" if both else "Intrinsic uncertainty"
    sure = {name: one.sd for name, one in made.items() if one.sd is not None}
    report.begin(f"Warning maps: {case.title}", sure)
    report.say(
        f"{what}, calibrated on the validation head; {SHARE:.0%} of the brain "
        "flagged. Errors in % of the mean of grey and white matter. Gradients are those of the "
        "image that the network made. In brackets, for information: the ratio of mean squared and "
        "of mean absolute errors.",
        "",
        "| network | expected calibration error | error of flagged | of the rest | ratio | "
        "of the strongest gradients | ratio |",
        "| --- |" + " --- |" * 6,
    )
    oracles, alone, curves = [], [], []
    for name, sd in sure.items():
        image = made[name].volume
        error = image - truth
        calibrated = reliability(error, sd, brain)
        found = flagging(error, sd, image, brain, SHARE)
        best = oracle(error, truth, brain, case.reference.head.spacing, SHARE)
        report.say(
            f"| {name} | {calibrated.error:.3f} | {unit * found.flagged:.2f} | "
            f"{unit * found.rest:.2f} | {found.over_rest:.2f} ({found.squared_over_rest:.2f}, "
            f"{found.absolute_over_rest:.2f}) | {unit * found.by_gradient:.2f} | "
            f"{found.over_gradient:.2f} |"
        )
        oracles.append(
            f"| {name} | {best.near:.2f} | {best.wide:.2f} | {best.mixture:.2f} | "
            f"{best.gradients:.2f} |"
        )
        report.figures[f"{case.key}/warnings/{name}"] = {
            "calibration_error": calibrated.error,
            "over_rest": found.over_rest,
            "squared_over_rest": found.squared_over_rest,
            "absolute_over_rest": found.absolute_over_rest,
            "over_gradient": found.over_gradient,
            "oracle": asdict(best),
        }
        report.mark(
            name,
            f"flagged voxels err {OVER_REST:g} times as much as the rest, {case.title}",
            f"{found.over_rest:.2f}",
            found.over_rest >= OVER_REST,
        )
        report.mark(
            name,
            f"and {OVER_GRADIENT:g} times as much as strong gradients, {case.title}",
            f"{found.over_gradient:.2f}",
            found.over_gradient >= OVER_GRADIENT,
        )
        one = made[name]
        maps = {"intrinsic": one.intrinsic, "parameter": one.parameter}
        maps |= {"both together": sd} if one.parameter is not None else {}
        lines = {
            which: (reliability(error, values, brain), flagging(error, values, image, brain, SHARE))
            for which, values in maps.items()
            if values is not None
        }
        alone += [
            f"| {name} | {which} | {of.error:.3f} | {flags.over_rest:.2f} | {_steps_of(of, unit)} |"
            for which, (of, flags) in lines.items()
        ]
        report.figures[f"{case.key}/warnings/{name}"]["alone"] = {
            which: {"calibration_error": of.error, "over_rest": flags.over_rest}
            for which, (of, flags) in lines.items()
        }
        curves.append((name, {which: of for which, (of, _) in lines.items()}))
    report.say(
        "",
        "Oracle: the ratio to the rest if one knew what no method can know. The squared error "
        f"itself, smoothed by {NEAR:g} or {WIDE:g} mm (SD); every voxel’s variance exactly, if "
        "errors are Gaussian (the mixture that fits them); or the gradients of the head itself.",
        "",
        f"| network | oracle: error within {NEAR:g} mm | within {WIDE:g} mm | every variance | "
        "the head’s gradients |",
        "| --- |" + " --- |" * 4,
        *oracles,
        "",
        "Each uncertainty, calibrated on its own, and both together: expected error → observed, a "
        "twentieth of the brain each.",
        "",
        "| network | uncertainty | expected calibration error | ratio | expected → observed |",
        "| --- |" + " --- |" * 4,
        *alone,
    )
    kind = f"{case.scan}-{case.factor}-{'real' if 'forrest' in case.key else 'synthesised'}"
    for name, measured in curves:
        if name in plots:
            path = plots[name].with_name(f"{plots[name].stem}-calibration-{kind}.png")
            _plot(path, f"{name}: {case.title}", measured, unit)
            report.say("", f"![Expected against observed error of {name}]({path.name})")


def _steps_of(found: Reliability, unit: float) -> str:
    pairs = list(zip(unit * found.expected, unit * found.observed, strict=True))
    return ", ".join(f"{expected:.1f} → {observed:.1f}" for expected, observed in pairs[::3])


def _plot(path: Path, title: str, measured: dict[str, Reliability], unit: float) -> None:
    figure, axis = plt.subplots(figsize=(4.4, 3.6))
    ends = [float(part.max()) for of in measured.values() for part in (of.expected, of.observed)]
    most = 1.05 * unit * max(ends)
    axis.plot([0, most], [0, most], color="0.6", linewidth=1, label="as expected")
    for (which, of), marker in zip(measured.items(), "osx", strict=False):
        axis.plot(unit * of.expected, unit * of.observed, f"{marker}-", markersize=4, label=which)
    axis.set(xlim=(0, most), ylim=(0, most), xlabel="expected error, %", ylabel="observed, %")
    axis.set_title(f"{title}; a twentieth of the brain each", fontsize=8)
    axis.legend(fontsize=8, loc="lower right")
    figure.tight_layout()
    figure.savefig(path, dpi=90)
    plt.close(figure)
