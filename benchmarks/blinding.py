"""Can a reader tell the arms apart by anything that an image answer shows but its pixels?

A study of real-sized images on gunicorn as it is deployed. A reader's browser asks for every slice
of every candidate many times, in random order, each beside the same slice of its control.
Gradient boosting then guesses the arm from the length, the headers and the times of each answer,
cross-validated over volunteers. A control run has compression switched on, so that the classifier
is shown to see; its images go through the same server otherwise.

    python benchmarks/blinding.py [--volunteers 10] [--slices 10] [--rounds 20]

AUC is one arm against the rest, averaged over the arms; the interval of guessing comes from
permuting the arms within each volunteer. Ends with 1 if the AUC is outside 0.4 to 0.6, or not above
0.9 in the control run.
"""

from __future__ import annotations

import argparse
import http.client
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.reading_site.site import benchmark_site, load_of_the_machine
from tests.blinding.classifier import AT_CHANCE, SEES, Answer, arm_auc

ROWS, COLUMNS = 384, 320
PERMUTATIONS = 20


@dataclass
class Asked:
    """One slice of a candidate, and of its control, asked for again and again."""

    arm: str
    volunteer: str
    candidate: str
    control: str
    status: int = 0
    length: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    control_length: int = 0
    times: list[tuple[float, float, float]] = field(default_factory=list)


class Browser:
    """One connection, kept open, with a signed-in reader's cookie."""

    def __init__(self, address: str, cookie: str) -> None:
        self.connection = http.client.HTTPConnection(address.removeprefix("http://"))
        self.headers = {"Cookie": f"sessionid={cookie}", "Accept-Encoding": "gzip, deflate, br"}

    def ask(self, path: str) -> tuple[Any, bytes, float, float]:
        """The answer, its body, and the seconds to its first and to its last byte."""
        begin = time.perf_counter()
        self.connection.request("GET", path, headers=self.headers)
        answer = self.connection.getresponse()
        first = time.perf_counter() - begin
        body = answer.read()
        return answer, body, first, time.perf_counter() - begin


def slices_of(session: Any, number: int) -> list[Asked]:
    from tests.reading.imaged_study import pane_of

    asked = []
    for item in session.items.select_related("volunteer", "arm"):
        candidate, control = pane_of(item, "candidate"), pane_of(item, "control")
        asked += [
            Asked(
                item.arm.code,
                item.volunteer.code,
                f"/reading/pixels/{candidate.token}/{index}",
                f"/reading/pixels/{control.token}/{index}",
            )
            for index in range(number)
        ]
    return asked


def ask_all(address: str, cookie: str, slices: list[Asked], rounds: int) -> list[Answer]:
    draws = np.random.default_rng(7)
    browser = Browser(address, cookie)
    for number in range(rounds + 1):
        for index in draws.permutation(len(slices)):
            one = slices[index]
            _, control, _, control_seconds = browser.ask(one.control)
            answer, body, first, whole = browser.ask(one.candidate)
            if answer.status != 200:
                raise SystemExit(f"{one.candidate} answered {answer.status}.")
            one.status, one.length, one.headers = answer.status, len(body), answer.getheaders()
            one.control_length = len(control)
            if number:  # the first round brings the files into the system's cache
                one.times.append((first, whole, control_seconds))
    browser.connection.close()
    # A case's slices are of one arm: whoever listens takes their lengths together.
    lengths: dict[tuple[str, str], list[float]] = {}
    for one in slices:
        lengths.setdefault((one.volunteer, one.arm), []).append(one.length / one.control_length)
    return [answer_of(one, float(np.mean(lengths[one.volunteer, one.arm]))) for one in slices]


def answer_of(one: Asked, length_of_case: float) -> Answer:
    """Of the times what a patient eavesdropper would keep: what other work adds is left out."""
    first, whole, control = np.array(one.times).T
    measured = {
        "length against the control": one.length / one.control_length,
        "length of the case against the control": length_of_case,
    }
    for name, seconds in (("first byte", first), ("whole", whole)):
        for point in (10, 50, 90):
            measured[f"{name}, {point} %"] = float(np.percentile(seconds, point))
    measured["against the control"] = float(np.median(whole / control))
    return Answer(one.arm, one.volunteer, one.status, one.length, one.headers, measured)


def guessing(answers: list[Answer]) -> tuple[float, float]:
    """The AUC that chance alone gives, lowest and highest of some permutations."""
    draws = np.random.default_rng(11)
    arms = np.array([answer.arm for answer in answers])
    volunteers = np.array([answer.volunteer for answer in answers])
    found = []
    for _ in range(PERMUTATIONS):
        shuffled = arms.copy()
        for volunteer in np.unique(volunteers):
            own = volunteers == volunteer
            names = np.unique(arms[own])
            other = dict(zip(names, draws.permutation(names), strict=True))
            shuffled[own] = [other[arm] for arm in arms[own]]
        permuted = [replace(a, arm=str(arm)) for a, arm in zip(answers, shuffled, strict=True)]
        found.append(arm_auc(permuted))
    return min(found), max(found)


def print_times(answers: list[Answer]) -> None:
    print(f"  {'arm':<8}{'median':>8}{'10 to 90 %':>16}  ms from asking to the last byte")
    for arm in sorted({answer.arm for answer in answers}):
        own = [1000 * a.measured["whole, 50 %"] for a in answers if a.arm == arm]
        low, middle, high = np.percentile(own, (10, 50, 90))
        print(f"  {arm:<8}{middle:>8.2f}{low:>8.2f} to {high:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--volunteers", type=int, default=10)
    parser.add_argument("--slices", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    if options.volunteers < 5 or options.rounds < 3 or options.slices < 1:
        parser.error("At least 5 volunteers, 3 rounds and 1 slice are needed.")
    with benchmark_site() as site:
        from django.test import Client

        from benchmarks.reading_site.study import Size, make_study
        from tests.reading.imaged_study import read_to_the_end, reader_of, session_of

        size = Size(ROWS, COLUMNS, options.slices)
        study = make_study(size, volunteers=options.volunteers, readers=1, may_go_back=True)
        session = session_of(study)
        read_to_the_end(session)  # every item of the reader is then open to view
        client = Client()
        client.force_login(reader_of(session))
        cookie = client.cookies["sessionid"].value
        address = site.serve()
        compressing = site.serve(settings="benchmarks.reading_site.compressing")
        answers = ask_all(address, cookie, slices_of(session, options.slices), options.rounds)
        print(f"{len(answers)} image answers, {size}, each asked for {options.rounds} times")
        print(f"  {load_of_the_machine()}")
        print_times(answers)
        forms = {(a.length, tuple(n for n, _ in a.headers)) for a in answers}
        low, high = guessing(answers)
        auc = arm_auc(answers)
        only_times = arm_auc([replace(a, headers=[], length=0) for a in answers])
        print(f"  different lengths and sets of headers: {len(forms)}")
        print(f"  AUC {auc:.3f} (times alone {only_times:.3f}); guessing {low:.3f} to {high:.3f}")
        control = ask_all(compressing, cookie, slices_of(session, options.slices), 3)
        seen = arm_auc(control)
        print(f"  control run, compression on: AUC {seen:.3f}")
    faults = []
    if not AT_CHANCE[0] <= auc <= AT_CHANCE[1]:
        faults.append(
            f"the arms can be told: AUC {auc:.3f} is not {AT_CHANCE[0]} to {AT_CHANCE[1]}"
        )
    if seen <= SEES:
        faults.append(f"the control run is not seen through: AUC {seen:.3f} is not above {SEES}")
    if len(forms) != 1:
        faults.append(f"{len(forms)} lengths or sets of headers instead of one")
    if faults:
        raise SystemExit("Missed: " + "; ".join(faults))


if __name__ == "__main__":
    main()
