"""The workbench in a browser: a slider moved by hand is undone, six arms fit at 1280, nothing is unmasked."""

import pytest

from tests.browser.test_app import CUT, OUTSIDE, SECRET, sent

pytestmark = pytest.mark.browser


def settled(page):
    """Wait until the page's script has run."""
    page.wait_for_timeout(400)
    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]')
    page.wait_for_timeout(300)


def press(page, name):
    page.get_by_test_id("stMain").get_by_role("button", name=name).first.click()
    settled(page)


def turn(page, option):
    page.get_by_test_id("stButtonGroup").get_by_text(option, exact=True).first.click()
    settled(page)


def typed(page, label, text):
    box = page.get_by_label(label, exact=True)
    box.fill(text)
    box.press("Enter")
    settled(page)


def test_a_slider_moved_by_hand_can_be_undone_and_redone(visit):
    page = visit("selection")
    settled(page)
    thumb = page.get_by_test_id("stMain").get_by_role("slider").first
    exact = page.get_by_label("Percent of the eligible rows, exactly", exact=True)
    assert (
        exact.get_attribute("placeholder") == "10" and page.get_by_role("button", name="Undo").is_disabled()
    )
    thumb.focus()
    for _ in range(4):
        thumb.press("ArrowRight")
    settled(page)
    assert exact.get_attribute("placeholder") == "12"
    for name, value in (("Undo", "10"), ("Redo", "12")):
        while page.get_by_role("button", name=name).is_enabled():  # one step for each stop of the slider
            press(page, name)
        shown = thumb.evaluate("e => e.getAttribute('aria-valuenow') ?? e.value")
        assert exact.get_attribute("placeholder") == value == f"{float(shown):g}"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_six_recipes_side_by_side_are_cut_nowhere_at_1280_and_stay_masked(scheme, visit):
    page = visit("selection", scheme=scheme)
    settled(page)
    for percent in ("10", "20", "30", "40", "50", "60"):
        typed(page, "Percent of the eligible rows, exactly", percent)
        press(page, "Add to comparison")
    turn(page, "Compare (6)")
    for what in ("Overlap", "Balance", "Scores"):
        turn(page, what)
        page.locator(".js-plotly-plot").first.wait_for()
        assert page.evaluate(OUTSIDE) == [] and page.evaluate(CUT) == []
    turn(page, "Recipes")
    turn(page, "Tune")
    for what in ("Map", "Rows", "Why"):
        turn(page, what)
        assert page.evaluate(OUTSIDE) == [] and page.evaluate(CUT) == []
    assert page.get_by_text("Traceback").count() == 0 and not page.faults
    assert SECRET not in sent(page).lower()
