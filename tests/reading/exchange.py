"""A reader's browser as far as the server sees it: JSON out, JSON in, one id for every act."""

from __future__ import annotations

import uuid
from typing import Any

from django.test import Client

from readerstudy.reading.models import Item, Session

from .imaged_study import answer_for, first_item, reader_of

DISPLAY: dict[str, Any] = {
    "viewport": [1280, 720],
    "screen": [1920, 1080],
    "device_pixel_ratio": 1.0,
    "colour_depth": 24,
    "browser_zoom": None,
}
VISIT: dict[str, Any] = {
    "active_ms": 48_211,
    "images_ms": 640,
    "interruptions": [{"at_ms": 12_000, "ms": 9_000, "why": "hidden"}],
    "panes": [{"number": 1, "slices": [0, 1, 2]}, {"number": 2, "slices": [2, 1]}],
    "slice_changes": 57,
    "windows": [{"center": 812.0, "width": 1400.0, "ms": 40_000}],
    "zoom": {"least": 1.0, "most": 2.4, "last": 1.0},
    "used": ["preset", "invert"],
    "display": DISPLAY,
}
CONTRAST = {
    "dark": {"shown": 4, "seen": 4},
    "light": {"shown": 4, "seen": 4},
    "ramp": "smooth",
}


class Page:
    """The reading page of one session."""

    def __init__(self, session: Session, client: Client | None = None) -> None:
        self.session = session
        self.client = client or Client()
        if client is None:
            self.client.force_login(reader_of(session))

    @property
    def item(self) -> Item:
        return first_item(self.session)

    def get(self, item: Item | None = None) -> dict[str, Any]:
        answer = self.client.get(f"/reading/item/{(item or self.item).token}/data/")
        assert answer.status_code == 200, answer.content
        data: dict[str, Any] = answer.json()
        return data

    def post(self, address: str, content: Any, status: int = 200) -> dict[str, Any]:
        """Sent with an id of its own unless one is given."""
        if isinstance(content, dict):
            content = {"id": str(uuid.uuid4()), **content}
        answer = self.client.post(address, content, content_type="application/json")
        assert answer.status_code == status, (answer.status_code, answer.content[:500])
        body: dict[str, Any] = answer.json()
        return body

    def act(self, what: str, content: Any, status: int = 200, item: Item | None = None) -> Any:
        return self.post(f"/reading/item/{(item or self.item).token}/{what}/", content, status)

    def act_on_session(self, what: str, content: Any, status: int = 200) -> Any:
        return self.post(f"/reading/session/{self.session.token}/{what}/", content, status)

    def score(self, criterion: str, value: Any, revision: int = 0, status: int = 200) -> Any:
        content = {"criterion": criterion, "value": value, "revision": revision}
        return self.act("scores", content, status)

    def look(self, data: dict[str, Any]) -> list[int]:
        """Fetch a slice of every pane; returns the panes' numbers."""
        for pane in data["panes"]:
            assert self.client.get(pane["slices"].format(index=0)).status_code == 200
        return [pane["number"] for pane in data["panes"]]

    def read(self, value: int = 3, visit: dict[str, Any] | None = None) -> dict[str, Any]:
        """Score what the open item lacks and submit it; returns the answer to the submission."""
        item, data = self.item, self.get()
        for criterion in data["criteria"]:
            if criterion["revision"] > 0:
                continue
            self.score(criterion["code"], answer_for(item, value))
        if visit is not None:
            self.act("visit", visit)
        submitted: dict[str, Any] = self.act("submit", {"shown": self.look(data)})
        return submitted
