"""A page's reasons, each told once: sections that only repeat one are left out by name."""

import re

from helpers.report import gaps

FIRST, SECOND = (f'<p class="missing">{why}</p>' for why in ("No costs.", "No surveys."))
STEP = '<p class="missing step">Rests on it.</p>'
TABLE = '<figure class="table"></figure>'


def heading(level: int, title: str, words: str = "") -> str:
    return f'<h{level} id="{title}">{title}<a class="anchor-link" href="#{title}"></a></h{level}><p>{words}</p>'


def page(*parts: str) -> str:
    return "".join(gaps.SHOWN + part if part in (FIRST, SECOND, STEP, TABLE) else part for part in parts)


def told(*parts: str) -> list[str]:
    said = gaps.told_once(page(*parts), "Left out: {titles}".format, "See above.")
    assert gaps.SHOWN not in said
    return [each for each in re.sub("<[^>]+>", "\n", said.replace(TABLE, "TABLE")).split("\n") if each.strip()]


def test_a_section_with_nothing_but_a_reason_told_before_is_left_out_with_its_words():
    assert told(FIRST, heading(2, "A?", "How to read A."), FIRST, heading(2, "B?"), TABLE) == [
        "No costs.", "Left out: A?", "B?", "TABLE",
    ]  # fmt: skip


def test_so_is_one_that_rests_on_a_number_not_computed():
    assert told(FIRST, heading(2, "A?"), STEP, heading(2, "B?"), STEP, STEP) == ["No costs.", "Left out: A? · B?"]


def test_a_step_without_a_reason_before_it_stays():
    assert told(heading(2, "A?"), STEP) == ["A?", "Rests on it."]


def test_a_new_reason_stands_where_it_comes_first():
    assert told(FIRST, heading(2, "A?"), STEP, SECOND, heading(2, "B?"), SECOND) == [
        "No costs.", "Left out: B?", "A?", "No surveys.",
    ]  # fmt: skip


def test_where_there_is_more_to_see_a_repeated_reason_becomes_a_hint_once():
    assert told(FIRST, heading(2, "A?"), TABLE, FIRST, STEP) == ["No costs.", "A?", "TABLE", "See above."]


def test_subsections_go_one_by_one_and_the_section_with_the_last():
    some = told(FIRST, heading(2, "A?"), heading(3, "By market"), STEP, heading(3, "By channel"), TABLE)
    assert some == ["No costs.", "Left out: By market", "A?", "By channel", "TABLE"]
    none = told(FIRST, heading(2, "A?"), heading(3, "By market"), STEP, heading(3, "By channel"), FIRST)
    assert none == ["No costs.", "Left out: A?"]


def test_words_alone_stay():
    assert told(FIRST, heading(2, "A?"), FIRST, heading(2, "How we counted", "Carefully.")) == [
        "No costs.", "Left out: A?", "How we counted", "Carefully.",
    ]  # fmt: skip
