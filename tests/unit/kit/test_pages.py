"""Page tokens, which clients can neither read nor change nor take elsewhere."""

from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.kit.errors import PageTokenInvalid, ValidationFailed
from services.kit.identity import Call, User
from services.kit.pages import Pages

SECRET = b"s" * 32
USER = User(UUID(int=1), UUID(int=2), "default", frozenset(), frozenset(), 0, None, None)
CALL = Call("/x/List", "r", "edge", USER, "default", "", "", "", b"", None)
FILTERS = {"state": "COMPLETED"}
POSITION = {"id": "abc", "time": 12}


def test_a_token_brings_its_position_back() -> None:
    token = Pages(SECRET).seal(CALL, FILTERS, POSITION)
    assert Pages(SECRET).open(CALL, FILTERS, token) == POSITION


def test_no_token_is_the_first_page() -> None:
    assert Pages(SECRET).open(CALL, FILTERS, "") is None


def test_a_token_tells_nothing() -> None:
    token = Pages(SECRET).seal(CALL, FILTERS, POSITION)
    assert "abc" not in token
    assert token != Pages(SECRET).seal(CALL, FILTERS, POSITION)


@pytest.mark.parametrize(
    "elsewhere",
    [
        replace(CALL, method="/x/Other"),
        replace(CALL, tenant_id="other"),
        replace(CALL, user=replace(USER, id=UUID(int=9))),
        replace(CALL, user=None),
    ],
)
def test_a_token_is_no_good_elsewhere(elsewhere: Call) -> None:
    token = Pages(SECRET).seal(CALL, FILTERS, POSITION)
    with pytest.raises(PageTokenInvalid):
        Pages(SECRET).open(elsewhere, FILTERS, token)


def test_a_token_is_no_good_with_other_filters_or_another_secret() -> None:
    token = Pages(SECRET).seal(CALL, FILTERS, POSITION)
    with pytest.raises(PageTokenInvalid):
        Pages(SECRET).open(CALL, {"state": "FAILED"}, token)
    with pytest.raises(PageTokenInvalid):
        Pages(b"t" * 32).open(CALL, FILTERS, token)


def test_the_session_may_change_between_pages() -> None:
    token = Pages(SECRET).seal(CALL, FILTERS, POSITION)
    later = replace(CALL, request_id="r2", user=replace(USER, session_id=UUID(int=7)))
    assert Pages(SECRET).open(later, FILTERS, token) == POSITION


def test_every_changed_byte_is_noticed() -> None:
    token = Pages(SECRET).seal(CALL, FILTERS, POSITION)
    for index in range(len(token) - 1):  # the last character carries unused bits
        changed = token[:index] + ("A" if token[index] != "A" else "B") + token[index + 1 :]
        with pytest.raises(PageTokenInvalid):
            Pages(SECRET).open(CALL, FILTERS, changed)


@given(st.text(max_size=200))
def test_any_other_text_is_refused(text: str) -> None:
    if text:
        with pytest.raises(PageTokenInvalid):
            Pages(SECRET).open(CALL, FILTERS, text)


def test_a_huge_token_is_refused_unread() -> None:
    with pytest.raises(PageTokenInvalid):
        Pages(SECRET).open(CALL, FILTERS, "A" * 5000)


@pytest.mark.parametrize(
    ("asked", "given"), [(0, 50), (1, 1), (50, 50), (100, 100), (101, 100), (2**31 - 1, 100)]
)
def test_page_sizes_are_clamped(asked: int, given: int) -> None:
    assert Pages.size(asked) == given


def test_a_negative_page_size_names_the_field() -> None:
    with pytest.raises(ValidationFailed) as caught:
        Pages.size(-1)
    assert [one.field for one in caught.value.field_violations] == ["pageSize"]
