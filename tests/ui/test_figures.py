"""Figures: one trace for the dots whatever their number, fixed colours, no text inside."""

import numpy as np

from ui import colours, figures, theme

RNG = np.random.default_rng(0)
XY = RNG.normal(size=(500, 2)).astype(np.float32)
NOBODY = np.zeros(0, dtype=np.int64)


def coloured(n, c=3):
    member = np.eye(c, dtype=bool)[np.arange(n) % c]
    return colours.by_category([f"c{i}" for i in range(c)], member)


def test_a_category_keeps_its_colour_whatever_rows_are_shown():
    names = ["rare", "common", "middle"]
    member = np.zeros((60, 3), dtype=bool)
    member[:30, 1], member[30:45, 2], member[45:50, 0] = True, True, True
    whole = colours.by_category(names, member)
    assert whole.names == ("common", "middle", "rare", "none")
    assert whole.colours[:3] == theme.PALETTE[:3]
    assert whole.counts(np.arange(60)).tolist() == [30, 15, 5, 10]


def test_ten_categories_have_eight_colours_and_one_other():
    colouring = coloured(100, 10)
    assert len(colouring.names) == 10  # 8, other, none
    assert colouring.names[8] == "other (2)"
    assert colouring.counts(np.arange(100))[8] == 20


def test_noise_is_unclustered_and_the_largest_clusters_are_coloured():
    colouring = colours.by_cluster(np.array([5, 5, 5, 2, 2, -1]), {5: "tea cake"})
    assert colouring.names == ("5 tea cake", "2", "unclustered")
    assert colouring.codes.tolist() == [0, 0, 0, 1, 1, 2]


def test_a_missing_score_is_grey_and_not_zero():
    colouring = colours.by_value("Toxicity", np.array([0.0, 0.05, 1.0, np.nan]))
    assert [colouring.names[c] for c in colouring.codes] == [
        "0.0 to 0.2",
        "0.0 to 0.2",
        "0.8 to 1.0",
        "not scored",
    ]


def test_the_map_is_one_trace_of_dots_and_one_of_rings_without_text():
    figure = figures.map_figure(XY, coloured(500), np.arange(500), np.array([3, 4]))
    assert [t.type for t in figure.data] == ["scattergl", "scattergl"]
    assert len(figure.data[0].x) == 500 and len(figure.data[1].x) == 2
    assert figure.data[0].text is None and figure.layout.dragmode == "lasso"


def test_above_twenty_thousand_rows_no_row_is_sent():
    xy = RNG.normal(size=(20_001, 2)).astype(np.float32)
    figure = figures.map_figure(xy, coloured(20_001), np.arange(20_001), NOBODY)
    assert len(figure.layout.images) == 1 and len(figure.data[0].x) == 2
    assert len(figure.to_json()) < 600_000
    again = figures.map_figure(xy, coloured(20_001), np.arange(20_000), NOBODY)
    assert not again.layout.images and len(again.data[0].x) == 20_000


def test_the_picture_of_many_rows_lies_where_the_rows_lie():
    from base64 import b64decode
    from io import BytesIO

    from PIL import Image

    xy = np.vstack([np.zeros((20_001, 2)), [[1.0, 1.0]]]).astype(np.float32)
    figure = figures.map_figure(xy, coloured(20_002), np.arange(20_002), NOBODY)
    image = np.asarray(Image.open(BytesIO(b64decode(figure.layout.images[0].source.split(",")[1]))))
    rows, columns = np.nonzero(image[:, :, 3])
    assert rows.max() > 600 and columns.min() < 100  # the heap at (0, 0) is bottom left
    assert rows.min() < 100 and columns.max() > 600  # the single row at (1, 1) is top right


def test_all_points_lie_inside_the_frame():
    x, y = figures.frame_box(XY)
    assert x[0] < XY[:, 0].min() and x[1] > XY[:, 0].max() and y[0] < XY[:, 1].min() and y[1] > XY[:, 1].max()
    assert figures.frame_box(np.full((3, 2), np.nan)) == ([0.0, 1.0], [0.0, 1.0])


def test_bars_and_their_table_hold_the_same_numbers():
    figure, frame = figures.share_bars(["a", "b"], [10.0, 90.0], [30.0, 70.0])
    assert frame["group"].tolist() == ["b", "a"]
    assert list(figure.data[1].x) == frame["selected %"].tolist() == [90.0, 10.0]
    _, counts = figures.legend_bars(coloured(30), np.arange(9))
    assert counts["rows"].tolist() == [3, 3, 3]


def test_no_figure_can_be_sent_to_a_cloud():
    assert theme.CONFIG["showSendToCloud"] is False


def test_the_toxicity_scale_is_one_that_plotly_takes_and_high_rows_lie_on_top():
    values = RNG.random(500)
    figure = figures.map_figure(XY, colours.by_value("Toxicity", values), np.arange(500), NOBODY)
    edges = [edge for edge, _ in figure.data[0].marker.colorscale]
    assert edges[0] == 0 and edges[-1] == 1 and edges == sorted(edges)
    drawn = figure.data[0].customdata
    assert values[drawn[-1]] == values.max() and sorted(drawn.tolist()) == list(range(500))
