"""Hold every package against the public lists of known weaknesses (pip-audit, npm audit).

    python .ci/audit_dependencies.py [--required] [--osv-url URL]

Python's: all that is installed here, what the pinned ones need and pip itself included, and what
is pinned without being installed. A finding fails unless it is answered in ANSWERED. Where a list
cannot be reached, that is said in so many words, with the number of packages: nothing is called
clean that nobody looked at. With --required that fails too. --osv-url asks a copy of the list
(the query of OSV's interface) instead of PyPI; npm asks the registry that it is set to in any case
(npm_config_registry). The whole takes no longer than LIMIT_SECONDS.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = sorted(ROOT.glob("requirements*.txt"))
LIMIT_SECONDS = 90
# Advisory → why it does not touch this platform, or what was done instead of an update.
ANSWERED: dict[str, str] = {}


@dataclass
class Audit:
    name: str
    looked_at: int = 0
    not_looked_at: int = 0
    why_not: str = ""
    findings: list[str] = field(default_factory=list)

    @property
    def open_findings(self) -> list[str]:
        return [line for line in self.findings if line.split()[0] not in ANSWERED]


def _run(command: list[str], **options: Any) -> tuple[str, str]:
    """Its standard output, and why there is none."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            check=False,
            **options,
        )
    except subprocess.TimeoutExpired:
        return "", f"no answer within {LIMIT_SECONDS} s"
    except OSError as error:
        return "", f"could not be started: {error.strerror}"
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return done.stdout, lines[-1][:200] if lines else f"exit status {done.returncode}"


def read_pip_audit(output: str, fault: str) -> Audit:
    """pip-audit skips, with exit status 0, what its list does not answer for."""
    audit = Audit("Python packages (pip-audit)")
    try:
        packages = json.loads(output)["dependencies"]
    except (ValueError, KeyError, TypeError):
        audit.why_not = fault
        return audit
    for package in packages:
        if "skip_reason" in package:
            audit.not_looked_at += 1
            audit.why_not = audit.why_not or str(package["skip_reason"])
            continue
        audit.looked_at += 1
        audit.findings += [
            f"{found['id']} {package['name']} {package['version']}, mended in "
            f"{', '.join(found.get('fix_versions', [])) or 'no version yet'}"
            for found in package.get("vulns", [])
        ]
    return audit


def read_npm_audit(output: str, fault: str, packages: int) -> Audit:
    audit = Audit("front-end packages (npm audit)")
    try:
        report = json.loads(output)
    except ValueError:
        report = {}
    if "vulnerabilities" not in report:
        audit.not_looked_at = packages
        audit.why_not = str(report.get("message") or fault)[:200]
        return audit
    audit.looked_at = packages
    for name, found in report["vulnerabilities"].items():
        for via in found["via"]:
            if isinstance(via, dict):  # a string names the package that brings it
                audit.findings.append(f"{via['url'].rsplit('/', 1)[-1]} {name} {via['severity']}")
    return audit


def python_packages() -> dict[str, str]:
    """The version of each: as installed, else as pinned."""
    found: dict[str, str] = {}
    for path in REQUIREMENTS:
        for line in path.read_text(encoding="utf-8").splitlines():
            text = line.split("#")[0].strip()
            if "==" in text and not text.startswith("-"):
                pin = Requirement(text)
                found[canonicalize_name(pin.name)] = next(iter(pin.specifier)).version
    # Of two copies the first is the one that is imported.
    found |= {canonicalize_name(one.name): one.version for one in reversed([*distributions()])}
    # Lists know no build for one kind of machine, as torch's is behind a plus.
    return {name: version.split("+")[0] for name, version in found.items()}


def audit_python(osv_url: str = "") -> Audit:
    packages = python_packages()
    command = [sys.executable, "-m", "pip_audit", "--no-deps", "--disable-pip", "-f", "json"]
    command += ["--progress-spinner", "off", "--timeout", "5", "--aliases", "off"]
    if osv_url:
        command += ["--vulnerability-service", "osv", "--osv-url", osv_url]
    lines = [f"{name}=={version}\n" for name, version in sorted(packages.items())]
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as listed:
        listed.write("".join(lines))
        listed.flush()
        audit = read_pip_audit(*_run([*command, "-r", listed.name]))
    audit.not_looked_at = audit.not_looked_at or len(packages) - audit.looked_at
    return audit


def audit_front_end() -> Audit:
    sys.path.insert(0, str(ROOT / "frontend"))
    from build import node_commands

    node, npm = node_commands()
    lock = json.loads((ROOT / "frontend" / "package-lock.json").read_text(encoding="utf-8"))
    environment = {**os.environ, "PATH": f"{node.parent}{os.pathsep}{os.environ['PATH']}"}
    command = [str(node), str(npm), "audit", "--json", "--fetch-retries=0", "--fetch-timeout=8000"]
    output, fault = _run(command, cwd=ROOT / "frontend", env=environment)
    return read_npm_audit(output, fault, len(lock["packages"]) - 1)


def say(audit: Audit) -> None:
    print(f"audit: {audit.name}: {audit.looked_at} looked up, {len(audit.findings)} findings")
    if audit.not_looked_at:
        print(f"audit: NOT AUDITED: {audit.not_looked_at} {audit.name}: {audit.why_not}")
    for line in audit.findings:
        answer = ANSWERED.get(line.split()[0])
        print(f"audit:   {line}" + (f": answered: {answer}" if answer else ": OPEN"))


def main() -> int:
    parser = argparse.ArgumentParser(description="Audit the dependencies.")
    parser.add_argument("--required", action="store_true", help="fail where no list answers")
    parser.add_argument("--osv-url", default="", help="a copy of the list of Python's packages")
    options = parser.parse_args()
    audits: list[Audit] = []
    threads = [
        threading.Thread(target=lambda: audits.append(audit_python(options.osv_url))),
        threading.Thread(target=lambda: audits.append(audit_front_end())),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for audit in audits:
        say(audit)
    if len(audits) < len(threads):
        print("audit: NOT AUDITED: an audit ended with the fault above")
    is_short = len(audits) < len(threads) or any(audit.not_looked_at for audit in audits)
    if any(audit.open_findings for audit in audits):
        return 1
    return 1 if is_short and options.required else 0


if __name__ == "__main__":
    sys.exit(main())
