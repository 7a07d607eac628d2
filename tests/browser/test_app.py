"""What only a browser shows: deep links, themes, lasso, nothing cut off, nothing unmasked on the wire."""

import numpy as np
import pytest

pytestmark = pytest.mark.browser
SECRET = b"horrible"
PAGES = ("", "pool", "map", "selection", "repair", "trade_off")
OUTSIDE = """() => {
  const main = document.querySelector('[data-testid=stMainBlockContainer]').getBoundingClientRect();
  return [...document.querySelectorAll('[data-testid=stMain] button, [data-testid=stMetric], h1, h2')]
    .filter(e => e.offsetParent && e.getBoundingClientRect().right > main.right + 1).map(e => e.innerText);
}"""
CUT = """() => {
  const parts = '[data-testid=stMetricValue] div, [data-testid=stMetricLabel] p';
  return [...document.querySelectorAll(parts)]
    .filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.innerText);
}"""


def sent(page):
    """All bytes the server sent to this page."""
    return b"".join(f if isinstance(f, bytes) else f.encode() for f in page.received)


def test_a_deep_link_to_the_map_is_the_first_request_and_a_lasso_lists_the_rows(visit):
    page = visit("map")
    assert page.locator("h1").inner_text() == "Map"
    assert page.get_by_role("link", name="Trade-off").is_visible() and not page.faults
    chart = page.locator("[class*=st-key-map-chart] .js-plotly-plot").first
    chart.wait_for()
    page.wait_for_timeout(1500)  # Plotly takes the mouse a moment after it has drawn
    box = chart.bounding_box()
    x, y, w, h = box["x"] + 2, box["y"] + 2, box["width"] - 4, min(box["height"], 540) - 4
    page.mouse.move(x, y)
    page.mouse.down()
    for px, py in ((x + w, y), (x + w, y + h), (x, y + h), (x, y + 5)):
        page.mouse.move(px, py, steps=8)
    page.mouse.up()
    page.get_by_text("rows inside the outline").wait_for()
    count = int(page.get_by_text("rows inside the outline").inner_text().split()[0])
    assert 70 <= count <= 80  # rows at the lower edge of the window may lie outside the drawn outline
    page.get_by_test_id("stMain").get_by_text("Behaviour", exact=True).first.click()
    page.wait_for_timeout(1500)
    assert page.get_by_text(f"{count} rows inside the outline").is_visible()


def brightness(page):
    """Mean channel of the page's ground, 0..255."""
    colour = page.evaluate("getComputedStyle(document.querySelector('.stApp')).backgroundColor")
    return np.mean([int(v) for v in colour[colour.index("(") + 1 : -1].split(",")[:3]])


@pytest.mark.parametrize("path", PAGES)
def test_a_dark_page_sends_no_harmful_word_and_cuts_nothing_off_at_1280(path, visit):
    page = visit(path, scheme="dark")
    page.wait_for_timeout(1500)
    assert brightness(page) < 40
    assert page.received and SECRET not in sent(page).lower()
    assert page.evaluate(OUTSIDE) == [] and page.evaluate(CUT) == []
    assert page.get_by_text("Traceback").count() == 0 and not page.faults


def test_the_switch_sends_the_words_to_this_session_only(visit):
    other, page = visit("pool"), visit("pool")
    assert brightness(page) > 240
    page.get_by_text("Reveal text").click()
    for _ in range(60):  # half a minute at most
        page.wait_for_timeout(500)
        if SECRET in sent(page).lower():
            break
    assert SECRET in sent(page).lower() and SECRET not in sent(other).lower()
