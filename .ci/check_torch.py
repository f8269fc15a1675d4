"""Guard against several GB of CUDA packages: what is installed must name none.

torch is pinned exactly because a range, or any package that needs torchvision or torchaudio, pulls
them in on a machine without a GPU. On a GPU host the same pin gives the CUDA build, and this check
is not run there.
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import distributions
from pathlib import Path


def main() -> int:
    problems = [
        f"{name} is installed: which dependency pulled it in?"
        for name in sorted(d.metadata["Name"] for d in distributions())
        if re.match(r"(nvidia|cuda)[-_]", name, re.IGNORECASE) or name in {"torchvision", "triton"}
    ]
    requirements = Path("requirements.txt").read_text(encoding="utf-8")
    if not re.search(r"^torch==[\d.]+$", requirements, re.MULTILINE):
        problems.append("requirements.txt must pin torch exactly (torch==X.Y.Z).")
    for problem in problems:
        print(f"torch guard: {problem}", file=sys.stderr)
    if not problems:
        print("torch guard: pinned exactly, no CUDA package installed")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
