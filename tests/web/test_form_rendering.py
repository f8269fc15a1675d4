"""How fields are labelled, and where the keyboard stands when a page with a form opens."""

from __future__ import annotations

import re

import pytest
from django import forms
from django.test import Client
from django.urls import reverse

from tests.factories import make_coordinator, make_study


class Both(forms.Form):
    hidden = forms.CharField(widget=forms.HiddenInput)
    first = forms.CharField(widget=forms.TextInput(attrs={"autofocus": True}))
    second = forms.CharField()
    third = forms.ChoiceField(choices=[("a", "A"), ("b", "B")], widget=forms.RadioSelect)


def focused(html: str) -> list[str]:
    """Names of the fields that say they have the keyboard, in the page's order."""
    tags = re.findall(r"<(?:input|select|textarea)\b[^>]*\bautofocus\b[^>]*>", html)
    return [re.findall(r'name="([^"]*)"', tag)[0] for tag in tags]


def test_the_first_refused_field_that_people_see_has_the_keyboard() -> None:
    assert focused(str(Both())) == ["first"]
    assert focused(str(Both({"first": "x", "third": "a"}))) == ["second"]
    assert focused(str(Both({"second": "x", "third": "a"}))) == ["first"]
    whole = {"hidden": "x", "first": "x", "second": "x", "third": "a"}
    assert focused(str(Both(whole))) == ["first"]  # nothing refused: as it is written
    radio = focused(str(Both({**whole, "third": "c"})))
    assert set(radio) == {"third"}


def test_a_fault_that_a_view_adds_later_moves_the_keyboard_too() -> None:
    form = Both({"hidden": "x", "first": "x", "second": "x", "third": "a"})
    assert form.is_valid()
    form.add_error("second", "Not right.")
    assert focused(str(form["first"]) + str(form["second"])) == ["second"]


@pytest.mark.django_db
def test_a_new_study_without_a_title_comes_back_with_the_keyboard_in_it() -> None:
    client = Client()
    client.force_login(make_coordinator(make_study()))
    page = client.post(reverse("study_new"), {"start": "lumbar", "title": ""})
    assert focused(page.content.decode()) == ["title"]


@pytest.mark.django_db
def test_the_sign_in_page_opens_with_the_keyboard_in_its_first_field() -> None:
    address = reverse("account_login")
    assert focused(Client().get(address).content.decode()) == ["login"]
    page = Client().post(address, {"login": "a@example.org", "password": ""})
    assert focused(page.content.decode()) == ["password"]


@pytest.mark.django_db
def test_labels_have_no_colon(client: Client) -> None:
    client.force_login(make_coordinator(make_study()))
    page = client.get("/accounts/").content.decode()
    assert '<label for="id_name">Name</label>' in page
