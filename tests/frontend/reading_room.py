"""The server's side of the reading room, kept in memory: what `/reading/` promises the page.

A test may look at what arrived, and meddle: lose receipts, refuse, sign the reader out, go away.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.utils import timezone

Answer = tuple[int, dict[str, Any]]

CRITERIA = ["Perceived SNR", "Sharpness", "Contrast", "Structure visibility", "Artifact", "Overall"]
QUESTIONS = {  # the longest of the template, and a short one: their place is the same
    2: "How well are the tissues told apart in the candidate, compared with the control?",
    3: "How well are cord, nerve roots, discs and facet joints seen in the candidate, compared "
    "with the control?",
}
ANCHORS = [
    "1 obviously inferior",
    "2 slightly inferior",
    "3 equivalent",
    "4 slightly superior",
    "5 obviously superior",
]
NOTICE = "Simulated acceleration: the accelerated images were computed, not scanned."
PASSWORD = "a long enough pass phrase"
EMPTY = {"value": None, "cannot_assess": "", "revision": 0}


def now(after: float = 0) -> str:
    """The server's time, `after` seconds from now."""
    time = timezone.now() + timedelta(seconds=after)
    return time.isoformat().replace("+00:00", "Z")


@dataclass
class ReadingRoom:
    items: int = 3
    practice: int = 0  # the first so many are practice items
    mode: str = "relative"
    ranked: int = 5  # images of a ranking
    may_go_back: bool = True
    display_wanted: bool = False
    advice: list[str] = field(default_factory=list)  # what the look at the display is answered
    ramp: str | None = None  # what the look before found of the grey ramp
    pause: dict[str, Any] | None = None  # answered to the next submission
    signed_in: bool = True
    other_person: bool = False
    second_factor: str = ""
    refuse: dict[str, list[Answer]] = field(default_factory=dict)  # by kind: answers to give first
    lose_receipts: int = 0  # store so many, then close the connection without an answer
    answers: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    revisions: list[tuple[str, str, Any, str]] = field(default_factory=list)
    comments: dict[str, dict[str, Any]] = field(default_factory=dict)
    marks: dict[str, dict[str, Any]] = field(default_factory=dict)
    submitted: list[str] = field(default_factory=list)
    opened: list[str] = field(default_factory=list)
    visits: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    displays: list[dict[str, Any]] = field(default_factory=list)
    faults: list[dict[str, Any]] = field(default_factory=list)
    pauses_ended: int = 0
    receipts: dict[str, dict[str, Any]] = field(default_factory=dict)
    repeated: int = 0

    # --- What is asked for ------------------------------------------------------------------------

    def number(self, token: str) -> int:
        return int(token.removeprefix("item"))

    def open_number(self) -> int:
        return next(
            (n for n in range(1, self.items + 1) if f"item{n}" not in self.submitted),
            self.items + 1,
        )

    def data(self, token: str, geometry: dict[str, Any]) -> Answer:
        if not self.signed_in:
            return 401, {"error": "You are signed out.", "code": "signed_out"}
        number = self.number(token)
        if number > self.open_number() + 2:
            return 404, {}
        is_practice = number <= self.practice
        first = 0 if is_practice else self.practice
        total = self.practice if is_practice else self.items - self.practice
        done = [n for n in map(self.number, self.submitted) if (n <= self.practice) == is_practice]
        ahead = [n for n in (number + 1, number + 2) if n <= self.items]
        window = {"center": 1000.0, "width": 2000.0}
        return 200, {
            "token": token,
            "mode": self.mode,
            "practice": is_practice,
            "position": number - first,
            "total": total,
            "submitted_count": len(done),
            "submitted": token in self.submitted,
            "geometry": geometry,
            "window": window,
            "presets": [
                {"code": "standard", "name": "Standard", **window},
                {"code": "full", "name": "Full range", "center": 1800.0, "width": 3600.0},
            ],
            "panes": self.panes(token),
            "criteria": [
                {
                    "code": f"c{index}",
                    "name": name,
                    "question": QUESTIONS.get(index, "How good is the candidate as a whole?"),
                    "anchors": ANCHORS,
                    **self.answers.get(token, {}).get(f"c{index}", EMPTY),
                }
                for index, name in enumerate(CRITERIA)
            ],
            "comment": self.comments.get(token, {"text": "", "revision": 0}),
            "marks": self.marks.get(token, {"marks": [], "revision": 0}),
            "change_needs_reason": token in self.submitted,
            "may_go_back": self.may_go_back,
            **self.neighbours(number),
            "ahead": [{"page": f"/item/item{n}/", "data": f"/item/item{n}/data/"} for n in ahead],
            "home": "/home/",
            "session_page": "/session/",
            **{
                f"{kind}_url": f"/room/{token}/{kind}/"
                for kind in ("open", "score", "comment", "marks", "visit", "submit")
            },
            "display_url": f"/room/{token}/display/",
            "pause_url": f"/room/{token}/pause/",
            "signin_url": "/signin/",
            "fault_url": "/faults/",
            "display_check": {
                "wanted": self.display_wanted,
                "last": self.ramp and {"ramp": self.ramp},
            },
            "pause": None,
            "instructions": "",
            "notice": NOTICE,
            "reader": "Dr A. Reader",
            "server_time": now(),
        }

    def neighbours(self, number: int) -> dict[str, str | None]:
        before = number - 1 if number > 1 and self.may_go_back else None
        after = number + 1 if number < self.items else None
        return {
            "previous": before and f"/item/item{before}/",
            "previous_data": before and f"/item/item{before}/data/",
            "next": after and f"/item/item{after}/",
            "next_data": after and f"/item/item{after}/data/",
        }

    def panes(self, token: str) -> list[dict[str, Any]]:
        image = {"role": "image", "side": None}
        panes = {
            "relative": [
                {"role": "control", "label": "Control", "side": "left"},
                {"role": "candidate", "label": "Candidate", "side": "right"},
            ],
            "absolute": [{**image, "label": "Image"}],
            "choice": [
                {"role": "image", "label": "Left", "side": "left"},
                {"role": "image", "label": "Right", "side": "right"},
            ],
            "ranking": [{**image, "label": "ABCDEFGH"[index]} for index in range(self.ranked)],
        }[self.mode]
        return [
            {**pane, "number": index, "slices": f"/pixels/{token}{'abcdefgh'[index - 1]}/{{index}}"}
            for index, pane in enumerate(panes, start=1)
        ]

    # --- What is sent -----------------------------------------------------------------------------

    def post(self, token: str, kind: str, sent: dict[str, Any]) -> Answer | None:
        """The answer, or None where the connection breaks after the work is done."""
        if not self.signed_in:
            return 401, {"error": "You are signed out.", "code": "signed_out"}
        if self.other_person:
            return 404, {}
        if self.refuse.get(kind):
            return self.refuse[kind].pop(0)
        if sent["id"] in self.receipts:
            self.repeated += 1
            if self.lose_receipts:
                self.lose_receipts -= 1
                return None
            return 200, {**self.receipts[sent["id"]], "repeated": True}
        status, body = getattr(self, f"do_{kind}")(token, sent)
        if status == 200:
            body |= {"id": sent["id"], "saved_at": now(), "repeated": False}
            self.receipts[sent["id"]] = body
        if status == 200 and self.lose_receipts:
            self.lose_receipts -= 1
            return None
        return status, body

    def reason_missing(self, token: str, was: bool, sent: dict[str, Any]) -> bool:
        return token in self.submitted and was and not sent.get("reason")

    def do_open(self, token: str, sent: dict[str, Any]) -> Answer:
        if self.number(token) > self.open_number():
            return 422, {"error": "Read the open item first.", "code": "not_open"}
        self.opened.append(token)
        return 200, {"position": self.number(token)}

    def do_score(self, token: str, sent: dict[str, Any]) -> Answer:
        stored = self.answers.setdefault(token, {})
        is_ = stored.get(sent["criterion"], EMPTY)
        content = {"value": sent.get("value"), "cannot_assess": sent.get("cannot_assess", "")}
        if {**is_, **content} != is_:
            if sent["revision"] != is_["revision"]:
                error = {"error": "Changed elsewhere.", "code": "conflict"}
                return 409, {**error, "criterion": sent["criterion"], **is_, "saved_at": now()}
            if self.reason_missing(token, is_["revision"] > 0, sent):
                return 422, {"error": "Say why.", "code": "reason_needed"}
            is_ = stored[sent["criterion"]] = {**content, "revision": is_["revision"] + 1}
            self.revisions.append(
                (token, sent["criterion"], content["value"], sent.get("reason", ""))
            )
        feedback = None
        if self.number(token) <= self.practice and isinstance(content["value"], int):
            feedback = f"{content['value']} – {ANCHORS[content['value'] - 1][2:].capitalize()}"
        answer = {"criterion": sent["criterion"], **is_, "feedback": feedback}
        return 200, {**answer, "missing": self.missing(token)}

    def do_comment(self, token: str, sent: dict[str, Any]) -> Answer:
        revision = self.comments.get(token, {"revision": 0})["revision"] + 1
        self.comments[token] = {"text": sent["text"], "revision": revision}
        return 200, self.comments[token] | {}

    def do_marks(self, token: str, sent: dict[str, Any]) -> Answer:
        revision = self.marks.get(token, {"revision": 0})["revision"] + 1
        self.marks[token] = {"marks": sent["marks"], "revision": revision}
        return 200, self.marks[token] | {}

    def do_visit(self, token: str, sent: dict[str, Any]) -> Answer:
        self.visits.append((token, sent))
        return 200, {}

    def missing(self, token: str) -> list[str]:
        stored = self.answers.get(token, {})
        return [f"c{i}" for i in range(len(CRITERIA)) if f"c{i}" not in stored]

    def do_submit(self, token: str, sent: dict[str, Any]) -> Answer:
        if missing := self.missing(token):
            return 422, {"error": "Answers are missing.", "code": "missing", "missing": missing}
        shown = [pane["number"] for pane in self.panes(token)]
        if sorted(sent["shown"]) != shown:
            return 422, {"error": "Not all was seen.", "code": "unseen", "unseen": shown}
        if token not in self.submitted:
            self.submitted.append(token)
        pause, self.pause = self.pause, None
        following = self.open_number()
        page = f"/item/item{following}/" if following <= self.items else None
        data = f"{page}data/" if page else None
        home = "/home/" if page else "/session/"
        return 200, {"next": page, "next_data": data, "home": home, "done": not page,
                     "pause": pause}  # fmt: skip

    def do_display(self, token: str, sent: dict[str, Any]) -> Answer:
        self.displays.append(sent)
        return 200, {"result": "poor" if self.advice else "good", "advice": self.advice}

    def do_pause(self, token: str, sent: dict[str, Any]) -> Answer:
        self.pauses_ended += 1
        return 200, {"ended_at": now()}

    # --- Signing in -------------------------------------------------------------------------------

    def who(self) -> Answer:
        same = self.signed_in and not self.other_person
        return 200, {"signed_in": self.signed_in, "same_person": same, "csrf_token": "y" * 64}

    def sign_in(self, sent: dict[str, Any]) -> Answer:
        if sent["password"] != PASSWORD:
            return 401, {"error": "The password is wrong.", "code": "wrong"}
        if self.second_factor and sent.get("code") != self.second_factor:
            code = "wrong_code" if sent.get("code") else "second_factor"
            return 401, {"error": "Give the code of your second factor.", "code": code}
        self.signed_in = True
        return 200, {"signed_in": True, "csrf_token": "z" * 64}


def short_pause(seconds: float) -> dict[str, Any]:
    return {
        "began_at": now(),
        "until": now(seconds),
        "minutes": 1,
        "text": "You have read for 45 minutes.",
    }
