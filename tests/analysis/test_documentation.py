"""Every public name explains itself; pytest runs the examples themselves, module by module."""

import inspect

import pytest

import analysis


@pytest.mark.parametrize("name", sorted(analysis.__all__))
def test_a_public_function_has_an_example(name: str) -> None:
    found = getattr(analysis, name)
    text = inspect.getdoc(found) or ""
    if inspect.isfunction(found):
        assert ">>>" in text, f"{name} shows no example"
        for heading in ("Parameters", "Examples"):
            assert f"{heading}\n{'-' * len(heading)}" in text, f"{name} lacks {heading}"
    else:
        assert text, f"{name} says nothing"


def test_pytest_collects_the_examples(pytestconfig: pytest.Config) -> None:
    assert pytestconfig.getoption("doctestmodules")
    assert "analysis" in pytestconfig.getini("testpaths")
