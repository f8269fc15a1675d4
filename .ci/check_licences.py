"""Refuse a dependency whose licence an Apache-2.0 project cannot build on.

GPL and AGPL are refused, among Python's packages and among those of the front end's lock file (the
tools that build and test it included). LGPL is allowed: such a library (psycopg, an optional extra)
is imported unchanged and can be replaced by its user, which is all that its licence asks. So is
MPL-2.0, whose terms hold file by file (axe-core, which tests the pages and is not shipped).
"""

from __future__ import annotations

import json
import re
import sys
from importlib.metadata import distributions
from pathlib import Path

LOCK = Path(__file__).resolve().parent.parent / "frontend" / "package-lock.json"
REFUSED = re.compile(r"(?<!L)(?<!Lesser )\b(A?GPL|GNU (Affero )?General Public)", re.IGNORECASE)
# Offered under a free licence or the GPL, as the user chooses.
CHOICES = {"text-unidecode": "Artistic License or GPL; comes with the test tools alone"}
# The package names its licence elsewhere than in the field that the lock file copies.
READ_BY_HAND = {
    "combine-errors": "MIT: Readme.md; part of tus-js-client",
    "rechoir": "MIT: LICENSE; comes with a command of vtk.js that is not used",
}


def licence_texts(metadata: object) -> list[str]:
    get_all = metadata.get_all  # type: ignore[attr-defined]
    texts = list(get_all("License-Expression") or [])
    texts += [text for text in get_all("Classifier") or [] if text.startswith("License")]
    if not texts:
        # Some packages paste the whole text here: the first line names it.
        texts += [text.strip().splitlines()[0] for text in get_all("License") or [] if text.strip()]
    return texts


def refused_of_python() -> list[str]:
    refused = []
    for distribution in distributions():
        name = distribution.metadata["Name"]
        texts = licence_texts(distribution.metadata)
        if any(REFUSED.search(text) for text in texts) and name not in CHOICES:
            refused.append(f"{name}: {'; '.join(texts)}")
    return refused


def refused_of_front_end() -> list[str]:
    """Of the lock file: packages with no licence named, or with none but the GPL to choose from."""
    refused = []
    for path, package in json.loads(LOCK.read_text(encoding="utf-8"))["packages"].items():
        name = path.rpartition("node_modules/")[2]
        if not name or name in READ_BY_HAND:  # no name: the front end itself
            continue
        expression = str(package.get("license", ""))
        offered = re.split(r"\bOR\b", expression.strip("()"))
        if not expression or all(REFUSED.search(text) for text in offered):
            refused.append(f"{name}: {expression or 'no licence named'}")
    return refused


def main() -> int:
    refused = [*refused_of_python(), *refused_of_front_end()]
    for line in sorted(set(refused)):
        print(f"licence refused: {line}", file=sys.stderr)
    if not refused:
        print("licences: no GPL or AGPL among the installed packages and those of the front end")
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
