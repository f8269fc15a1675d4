"""The evidence beside a denoised image: what was removed, and where not to believe the result.

>>> from denoise_engine.evidence import gather_evidence
>>> evidence = gather_evidence(volume, result)  # doctest: +SKIP
>>> evidence.structure.sentence  # doctest: +SKIP
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from denoise_engine.evidence.error_parts import ErrorParts, split_error
    from denoise_engine.evidence.gathering import gather_evidence
    from denoise_engine.evidence.record import QC_KEYS, Evidence
    from denoise_engine.evidence.structure import StructureTest, judge_removed_noise

_WHERE = {
    "ErrorParts": "error_parts",
    "Evidence": "record",
    "QC_KEYS": "record",
    "StructureTest": "structure",
    "gather_evidence": "gathering",
    "judge_removed_noise": "structure",
    "split_error": "error_parts",
}

__all__ = [
    "QC_KEYS",
    "ErrorParts",
    "Evidence",
    "StructureTest",
    "gather_evidence",
    "judge_removed_noise",
    "split_error",
]


def __getattr__(name: str) -> Any:
    # Loaded when asked for, so that importing the package stays cheap.
    if name not in _WHERE:
        raise AttributeError(f"module 'denoise_engine.evidence' has no attribute '{name}'")
    return getattr(import_module(f"denoise_engine.evidence.{_WHERE[name]}"), name)
