"""Which arm a waiting series resembles, by how it was acquired."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from readerstudy.studies.models import Arm

COMPARED = (
    "RepetitionTime",
    "EchoTime",
    "EchoTrainLength",
    "FlipAngle",
    "NumberOfAverages",
    "NumberOfPhaseEncodingSteps",
    "PercentSampling",
    "PixelBandwidth",
    "ParallelReductionFactorInPlane",
    "AcquisitionDuration",
    "AcquisitionMatrix",
)
FEWEST = 4  # parameters that both headers give
TOLERANCE = 0.01  # relative


def resembles(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Whether two series were acquired alike: all parameters that both headers give are equal."""
    shared = [name for name in COMPARED if name in first and name in second]
    return len(shared) >= FEWEST and all(_equal(first[name], second[name]) for name in shared)


def arm_by_parameters(
    parameters: Mapping[str, Any], stored: Iterable[tuple[Arm, Mapping[str, Any]]]
) -> Arm | None:
    """The one arm all of whose stored series were acquired like this one; None if two or none."""
    by_arm: dict[int, list[bool]] = defaultdict(list)
    arms: dict[int, Arm] = {}
    for arm, known in stored:
        arms[arm.pk] = arm
        by_arm[arm.pk].append(resembles(parameters, known))
    alike = [arms[pk] for pk, answers in by_arm.items() if all(answers)]
    return alike[0] if len(alike) == 1 else None


def _equal(first: Any, second: Any) -> bool:
    if isinstance(first, list) and isinstance(second, list):
        return len(first) == len(second) and all(
            _equal(a, b) for a, b in zip(first, second, strict=True)
        )
    if isinstance(first, (int, float)) and isinstance(second, (int, float)):
        return math.isclose(first, second, rel_tol=TOLERANCE)
    return bool(first == second)
