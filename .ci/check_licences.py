"""Refuse a dependency whose licence an Apache-2.0 project cannot build on.

GPL and AGPL are refused. LGPL is allowed: such a library (psycopg, an optional extra) is imported
unchanged and can be replaced by its user, which is all that its licence asks.
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import distributions

REFUSED = re.compile(r"(?<!L)(?<!Lesser )\b(A?GPL|GNU (Affero )?General Public)", re.IGNORECASE)
# Offered under a free licence or the GPL, as the user chooses.
CHOICES = {"text-unidecode": "Artistic License or GPL; comes with the test tools alone"}


def licence_texts(metadata: object) -> list[str]:
    get_all = metadata.get_all  # type: ignore[attr-defined]
    texts = list(get_all("License-Expression") or [])
    texts += [text for text in get_all("Classifier") or [] if text.startswith("License")]
    if not texts:
        # Some packages paste the whole text here: the first line names it.
        texts += [text.strip().splitlines()[0] for text in get_all("License") or [] if text.strip()]
    return texts


def main() -> int:
    refused = []
    for distribution in distributions():
        name = distribution.metadata["Name"]
        texts = licence_texts(distribution.metadata)
        if any(REFUSED.search(text) for text in texts) and name not in CHOICES:
            refused.append(f"{name}: {'; '.join(texts)}")
    for line in sorted(set(refused)):
        print(f"licence refused: {line}", file=sys.stderr)
    if not refused:
        print("licences: no GPL or AGPL among the installed packages")
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
