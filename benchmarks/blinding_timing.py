"""Can a reader tell the arms apart by how long the server takes to answer?

Builds a study of real-sized images in a temporary home, asks for every slice of every pane many
times in random order through the whole stack of the site, and lets a classifier guess the arm from
the answer time, the length and the headers. Prints its AUC beside what guessing gives.

    python benchmarks/blinding_timing.py [--volunteers 3] [--rounds 20]

AUC is one arm against the rest (Mann and Whitney), averaged over the arms, on rounds that the
classifier has not seen; the interval of guessing comes from permuting the arms within a volunteer.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
_HOME = tempfile.TemporaryDirectory(prefix="readerstudy-timing-")
Path(_HOME.name, "static").mkdir()
os.environ["READERSTUDY_VAR"] = _HOME.name
os.environ["DATABASE_URL"] = f"sqlite:///{_HOME.name}/db.sqlite3"
os.environ["DJANGO_SETTINGS_MODULE"] = "readerstudy.settings"

import django  # noqa: E402

django.setup()

from django.conf import settings  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.test import Client  # noqa: E402

from readerstudy.reading.models import Item, Pane  # noqa: E402
from tests.reading import imaged_study  # noqa: E402

ROWS, COLUMNS, SLICES = 384, 320, 8
PERMUTATIONS = 500


def build(volunteers: int) -> tuple[Client, list[Item]]:
    """A study that its reader has read to the end, so that every case may be asked for."""
    call_command("migrate", verbosity=0)
    imaged_study.ROWS, imaged_study.COLUMNS, imaged_study.SLICES = ROWS, COLUMNS, SLICES
    study = imaged_study.make_reading_study(volunteers=volunteers, readers=1)
    session = imaged_study.session_of(study)
    imaged_study.read_to_the_end(session)
    client = Client()
    client.force_login(imaged_study.reader_of(session))
    return client, list(session.items.select_related("volunteer", "arm"))


def ask(
    client: Client, items: list[Item], rounds: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Seconds [rounds, items], and of each item the arm, the volunteer and a number for the form.

    The form is the answer's length and headers: one number for each that was seen.
    """
    draws = np.random.default_rng(7)
    tokens = [item.panes.get(role=Pane.Role.CANDIDATE).token for item in items]
    seconds = np.empty((rounds, len(items)))
    forms: dict[object, int] = {}
    form_of = np.zeros(len(items), dtype=int)
    for one_round in range(rounds):
        for index in draws.permutation(len(items)):
            address = f"/reading/pixels/{tokens[index]}/{draws.integers(SLICES)}"
            before = time.perf_counter()
            answer = client.get(address)
            content = answer.content
            seconds[one_round, index] = time.perf_counter() - before
            if answer.status_code != 200:
                raise SystemExit(f"{address} answered {answer.status_code}.")
            form = (len(content), tuple(sorted(answer.headers.items())))
            form_of[index] = forms.setdefault(form, len(forms))
    arms = np.array([item.arm.code for item in items])
    volunteers = np.array([item.volunteer.code for item in items])
    return seconds, arms, volunteers, form_of


def auc(positive: np.ndarray, negative: np.ndarray) -> float:
    """The chance that a value of `positive` exceeds one of `negative`, ties half."""
    differences = positive[:, None] - negative[None, :]
    return float(((differences > 0) + 0.5 * (differences == 0)).mean())


def classifier_auc(seconds: np.ndarray, arms: np.ndarray) -> float:
    """Learns on the even rounds how an arm's time compares with the others, guesses on the odd."""
    learned, unseen = np.median(seconds[::2], axis=0), np.median(seconds[1::2], axis=0)
    values = []
    for arm in np.unique(arms):
        is_arm = arms == arm
        slower = auc(learned[is_arm], learned[~is_arm]) >= 0.5
        value = auc(unseen[is_arm], unseen[~is_arm])
        values.append(value if slower else 1 - value)
    return float(np.mean(values))


def permuted(arms: np.ndarray, volunteers: np.ndarray, draws: np.random.Generator) -> np.ndarray:
    shuffled = arms.copy()
    for volunteer in np.unique(volunteers):
        of_volunteer = volunteers == volunteer
        shuffled[of_volunteer] = draws.permutation(shuffled[of_volunteer])
    return shuffled


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--volunteers", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    if options.volunteers < 2 or options.rounds < 4:
        parser.error("At least 2 volunteers and 4 rounds are needed.")
    settings.ALLOWED_HOSTS = ["testserver"]
    client, items = build(options.volunteers)
    ask(client, items, 1)  # the files come into the system's cache
    seconds, arms, volunteers, forms = ask(client, items, options.rounds)

    print(f"{SLICES} slices of {ROWS} x {COLUMNS}, {len(items)} items, {options.rounds} rounds")
    print(f"{'arm':<8} {'median ms':>10} {'10-90 %':>16}")
    for arm in dict.fromkeys(arms):
        of_arm = seconds[:, arms == arm].ravel() * 1e3
        low, high = np.percentile(of_arm, (10, 90))
        print(f"{arm:<8} {np.median(of_arm):>10.3f} {low:>7.3f} - {high:.3f}")
    draws = np.random.default_rng(11)
    guessing = [
        classifier_auc(seconds, permuted(arms, volunteers, draws)) for _ in range(PERMUTATIONS)
    ]
    low, high = np.percentile(guessing, (2.5, 97.5))
    found = classifier_auc(seconds, arms)
    verdict = "at chance" if found <= high else "ABOVE CHANCE"
    print(f"different lengths and headers: {len(set(forms))}")
    print(f"AUC from the answer time: {found:.3f}; guessing: {low:.3f} - {high:.3f}; {verdict}")
    if found > high or len(set(forms)) > 1:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
