"""Every address × every role × own and foreign study, asked and sent to: a new address without a
row fails here."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookies import SimpleCookie
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection, transaction

from tests.blinding.addresses import Address, every_address, filled
from tests.browser.every_page import client_of

from .permission_scene import ELSEWHERE, PEOPLE, READ, Stage, make_stages
from .permission_table import ABOUT_ONE_SITE, REFUSING, TABLE

TUS = {"Tus-Resumable": "1.0.0", "Upload-Length": "10", "Upload-Offset": "0"}
# An empty form is sent everywhere; these say of what first.
FORMS = {"regions_files": {"volunteer": "V01"}}
QUERIES = {"regions_suggest": "?from=V01"}
OTHER_METHODS = {"upload_tus_file": "delete"}  # takes no POST
# Who else sends something to the administration site is turned away as these are, at its door.
SENDERS = {"nobody", "coordinator", "administrator"}
REFUSED = {401, 403, 404, 405}
# When somebody was last seen is noted whatever the answer.
OF_THE_SIGN_IN = {"django_session", "accounts_signin"}


def key_of(address: Address) -> str:
    name = address.name or address.route
    return f"{address.namespace}:{name}" if address.namespace else name


@pytest.mark.django_db
@pytest.mark.slow
def test_every_address_answers_everybody_as_the_table_says(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("CRITICAL", logger="django.request")  # thousands of refusals
    found: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    site: dict[tuple[str, str, str], int] = {}
    elsewhere: dict[tuple[str, str, str], tuple[int, int]] = {}
    changed: list[str] = []
    taken = {
        (method, key)
        for method, rows in TABLE[READ].items()
        for row, keys in rows.items()
        for key in keys
        if {*row[1:]} != {405}
    }
    for name, stage in make_stages().items():
        addresses = [address for address in every_address() if stage.asks(address)]
        paths = {address: filled(address, stage.arguments(address))[0] for address in addresses}
        asked = [
            (address, method)
            for address in addresses
            for method in ("GET", "POST")
            if name == READ or (method, key_of(address)) in taken
        ]
        for who in stage.people:
            for address, method, status, tables in _answers(stage, who, asked, paths):
                row = (name, method, key_of(address))
                if who == ELSEWHERE:
                    elsewhere[row] = (site[row], status)
                else:
                    found[row].append(status)
                if who == "site coordinator":
                    site[row] = status
                if tables and (status in REFUSED or (who == "nobody" and status == 302)):
                    changed.append(f"{method} {paths[address]} by {who}: {status}, wrote {tables}")
    expected = {
        (name, method, key): list(row)
        for name, methods in TABLE.items()
        for method, rows in methods.items()
        for row, keys in rows.items()
        for key in keys
    }
    assert set(found) == set(expected), "a new address needs its rows"
    wrong = [
        f"{method} {key}, study {name}: {found[(name, method, key)]}, the table says {row}"
        for (name, method, key), row in expected.items()
        if found[(name, method, key)] != row
    ]
    assert not wrong, "\n".join(wrong)
    apart = {row: there for row, (here, there) in elsewhere.items() if here != there}
    assert {key for _, _, key in apart} == ABOUT_ONE_SITE
    assert {*apart.values()} == {404}
    assert not changed, "\n".join(changed)


def test_behind_every_address_somebody_finds_something() -> None:
    """An address that refused everybody would show nothing about whom it refuses."""
    found: dict[str, set[int]] = defaultdict(set)
    for methods in TABLE.values():
        for rows in methods.values():
            for row, keys in rows.items():
                for key in keys:
                    # Whoever is no administrator is sent from that site to the sign-in page.
                    who = 2 if len(row) == len(SENDERS) else PEOPLE.index("administrator")
                    found[key] |= {row[who]} if key.startswith("admin:") else {*row}
    assert {key for key, answers in found.items() if answers <= REFUSED} == REFUSING


def _answers(
    stage: Stage, who: str, asked: list[tuple[Address, str]], paths: dict[Address, str]
) -> Iterator[tuple[Address, str, int, set[str]]]:
    """GET and POST; whatever they do is undone."""
    client = client_of(stage.people[who])
    signed_in = client.cookies.output()
    client.get("/accounts/")  # that somebody signed in is noted once
    cache.clear()
    for address, method in asked:
        path = paths[address]
        if method == "POST" and address.namespace == "admin" and who not in SENDERS:
            continue
        client.cookies = SimpleCookie(signed_in.replace("Set-Cookie: ", ""))
        with transaction.atomic(), _writes() as tables:
            if method == "GET":
                answer = client.get(path + QUERIES.get(address.name, ""))
            elif address.name in OTHER_METHODS:
                answer = getattr(client, OTHER_METHODS[address.name])(path, headers=TUS)
            else:
                answer = client.post(path, FORMS.get(address.name, {}), headers=TUS)
            if answer.streaming:
                b"".join(answer)
            policy = answer.headers["Content-Security-Policy"]
            assert not re.search("unsafe|data:", policy), f"{method} {path} by {who}: {policy}"
            transaction.set_rollback(True)
        yield address, method, answer.status_code, tables


@contextmanager
def _writes() -> Iterator[set[str]]:
    """The tables that something was written to."""
    tables: set[str] = set()

    def look(execute: Any, sql: str, *rest: Any) -> Any:
        written = re.match(r"\s*(?:INSERT|REPLACE|UPDATE|DELETE)\b[^\"]*\"(\w+)\"", sql)
        if written:
            tables.add(written[1])
        return execute(sql, *rest)

    with connection.execute_wrapper(look):
        yield tables
    tables -= OF_THE_SIGN_IN
