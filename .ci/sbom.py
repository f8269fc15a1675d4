"""Write the bill of materials (CycloneDX 1.6, JSON): every package that a site runs on.

    python .ci/sbom.py [var/sbom.cdx.json]

Python's packages as they are installed, from the pins of a hospital's site down through what they
need; the front end's from its lock file, with the hashes that it was built from. The same content
gives the same file: there is no time and no random number in it.
"""

from __future__ import annotations

import base64
import json
import re
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
# What a site installs; the tools of tests and benchmarks are none of it.
OF_A_SITE = ("requirements.txt", "requirements-postgres.txt", "requirements-hospital.txt")


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins() -> list[Requirement]:
    found = []
    for name in OF_A_SITE:
        for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
            text = line.split("#")[0].strip()
            if text and not text.startswith("-"):
                found.append(Requirement(text))
    return found


def python_components() -> tuple[list[dict[str, Any]], dict[str, list[str]]]:
    """Components, and what each needs, by their references."""
    waiting, seen, needs = [(pin, pin.extras) for pin in pins()], {}, {}
    while waiting:
        requirement, extras = waiting.pop()
        name = _normal(requirement.name)
        if name in seen and not extras:
            continue
        try:
            found = distribution(requirement.name)
        except PackageNotFoundError:
            raise SystemExit(
                f"{requirement.name} is not installed: pip install -r {' -r '.join(OF_A_SITE)}"
            ) from None
        seen[name] = _component("pypi", name, found.version, _licence(found.metadata))
        below = []
        for text in found.requires or []:
            one = Requirement(text)
            environments = [{"extra": extra} for extra in (*extras, "")]
            if one.marker is None or any(one.marker.evaluate(e) for e in environments):
                below.append(_normal(one.name))
                if _normal(one.name) not in seen:
                    waiting.append((one, one.extras))
        needs[name] = sorted(set(below))
    references = {name: component["bom-ref"] for name, component in seen.items()}
    return list(seen.values()), {
        references[name]: [references[one] for one in below if one in references]
        for name, below in needs.items()
    }


def _licence(metadata: Any) -> str:
    for text in (metadata.get("License-Expression"), metadata.get("License")):
        if text and len(text) < 60 and "\n" not in text:
            return str(text)
    kinds = [text for text in metadata.get_all("Classifier") or [] if text.startswith("License")]
    return kinds[0].rpartition(" :: ")[2] if kinds else ""


def front_end_components() -> list[dict[str, Any]]:
    lock = json.loads((ROOT / "frontend" / "package-lock.json").read_text(encoding="utf-8"))
    found: dict[str, dict[str, Any]] = {}
    for path, package in lock["packages"].items():
        name = path.rpartition("node_modules/")[2]
        if not name or package.get("dev"):
            continue
        one = _component(
            "npm", name.replace("@", "%40"), package["version"], package.get("license", "")
        )
        one["name"] = name
        kind, _, digest = package.get("integrity", "").partition("-")
        if kind == "sha512":
            content = base64.b64decode(digest).hex()
            one["hashes"] = [{"alg": "SHA-512", "content": content}]
        found[one["bom-ref"]] = one
    return list(found.values())


def _component(kind: str, name: str, version: str, licence: str) -> dict[str, Any]:
    address = f"pkg:{kind}/{name}@{version.replace('+', '%2B')}"
    component = {
        "type": "library",
        "bom-ref": address,
        "name": name,
        "version": version,
        "purl": address,
    }
    if licence:
        component["licenses"] = [{"license": {"name": licence}}]  # type: ignore[assignment]
    return component


def bill() -> dict[str, Any]:
    python, needs = python_components()
    components = sorted([*python, *front_end_components()], key=lambda one: one["bom-ref"])
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": "readerstudy"}},
        "components": components,
        "dependencies": [{"ref": one, "dependsOn": needs[one]} for one in sorted(needs)],
    }


def main() -> int:
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "var" / "sbom.cdx.json"
    made = bill()
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(made, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    print(f"bill of materials: {len(made['components'])} packages in {target}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
