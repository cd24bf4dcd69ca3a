import os
import re
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import devanagari_fonts
import matplotlib
import numpy as np
import pytest
from fontTools.ttLib import TTFont
from matplotlib import image

from nmt.errors import ConfigError
from nmt.visualisation import heatmap
from nmt.visualisation.heatmap import Panel, draw_grid, draw_heatmap, save_heatmap

ENGLISH = ["Krishna", "wrote", "his", "friends", "."]
MARATHI = ["दुसर्‍या", "कृष्णाने", "त्याच्या", "मित्रांना", "पत्र", "लिहिलं."]
WEIGHTS = np.random.default_rng(1).dirichlet(np.ones(5), size=6)


def to_image(figure):
    """RGB pixels, [height, width, 3]."""
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()


def glyph_names(svg):
    """The names of the Devanagari font's glyphs that an SVG draws, in order, from the font's own table."""
    (path,) = (f.path for f in devanagari_fonts.fonts() if f.filename == "Shobhika-Regular.otf")
    order = TTFont(path).getGlyphOrder()
    return [
        order[int(code, 16)] for code in re.findall(r'<use [^>]*href="#Shobhika-Regular-([0-9a-f]+)"', svg)
    ]


def drawn_texts(figure):
    texts = [text for axes in figure.axes for text in axes.texts] + list(figure.texts)
    texts += [label for axes in figure.axes for label in [*axes.get_xticklabels(), *axes.get_yticklabels()]]
    return texts


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_marathi_draws_without_a_complaint_and_always_the_same(tmp_path, suffix, caplog):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in ("a", "b"):
            save_heatmap(tmp_path / (name + suffix), WEIGHTS, ENGLISH, MARATHI, title=" ".join(MARATHI))
    first = (tmp_path / f"a{suffix}").read_bytes()
    assert len(first) > 1000
    assert first == (tmp_path / f"b{suffix}").read_bytes()
    assert not caplog.records


def test_another_process_writes_the_same_bytes(tmp_path):
    program = (
        "import sys, pathlib, numpy as np; from nmt.visualisation.heatmap import save_heatmap\n"
        "for suffix in ('.png', '.svg'):\n"
        "    save_heatmap(pathlib.Path(sys.argv[1] + suffix), np.eye(2), ['a', 'b'], ['पत्र', 'x'])"
    )
    environment = os.environ | {"PYTHONHASHSEED": "1"}
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "a")], check=True, env=environment)
    for suffix in (".png", ".svg"):
        save_heatmap(tmp_path / f"b{suffix}", np.eye(2), ["a", "b"], ["पत्र", "x"])
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


def test_devanagari_is_shaped(tmp_path):
    save_heatmap(tmp_path / "a.svg", np.ones((1, 1)), ["x"], ["त्याच्या"])
    names = glyph_names((tmp_path / "a.svg").read_text())
    assert names == ["TaYa.dv", "matraA.dv", "CaYa.dv", "matraA.dv"]  # 8 code points, 4 glyphs


def test_eyelash_reph_is_drawn_when_the_joiner_asks_for_it(tmp_path):
    drawn = {}
    for joiner in ("\u200d", ""):
        save_heatmap(tmp_path / "a.svg", np.ones((1, 1)), ["x"], [f"दुसर्{joiner}या"])
        drawn[joiner] = glyph_names((tmp_path / "a.svg").read_text())
    assert "ardhaRa.dv" in drawn["\u200d"]
    assert "ardhaRa.dv" not in drawn[""]


def test_markup_is_drawn_as_it_stands(tmp_path):
    tokens = ["$x_1$", "<b>", "a&b", r"\frac{1}{2}", "100%"]
    figure = draw_heatmap(np.eye(5), tokens, tokens, title="$x_1$ < & \\alpha$")
    drawn = {text.get_text(): text for text in drawn_texts(figure)}
    for token in [*tokens, "$x_1$ < & \\alpha$"]:
        assert not drawn[token].get_parse_math()
    assert to_image(figure).std() > 0
    save_heatmap(tmp_path / "a.svg", np.eye(5), tokens, tokens, title="$x_1$ < & -->")
    dollars = re.findall(r'href="#DejaVuSans-7"', (tmp_path / "a.svg").read_text())
    assert len(dollars) == 6  # two in each of column, row and title; glyph 7 is "$"


def test_source_across_and_target_down():
    weights = np.zeros((2, 3))
    weights[1, 0] = 1  # the second target word attends to the first source word
    figure = draw_heatmap(weights, ["a", "b", "c"], ["p", "q"])
    axes = figure.axes[0]
    picture = to_image(figure)
    height = picture.shape[0]
    darkness = {}
    for row in range(2):
        for column in range(3):
            x, y = axes.transData.transform((column + 0.15, row + 0.15))
            darkness[row, column] = 255 - picture[int(height - y), int(x)].mean()
    assert darkness[1, 0] > 100
    assert all(value < 20 for cell, value in darkness.items() if cell != (1, 0))
    x_of_label, y_of_label = {}, {}
    for label in drawn_texts(figure):
        box = label.get_window_extent()
        x_of_label[label.get_text()], y_of_label[label.get_text()] = box.x0, box.y0
    assert x_of_label["a"] < x_of_label["b"] < x_of_label["c"]
    assert y_of_label["p"] > y_of_label["q"]
    assert y_of_label["a"] > axes.get_window_extent().y1 - 5  # labels of the source stand on top


@pytest.mark.parametrize(
    ("label", "title"),
    [("extraordinarily-long-word", "a title that is much longer than the matrix is wide"), ("i", None)],
)
def test_nothing_is_cut_off(label, title):
    figure = draw_heatmap(np.eye(3), [label] * 3, [label] * 3, title=title)
    picture = to_image(figure)
    border = np.concatenate(
        [picture[:4].ravel(), picture[-4:].ravel(), picture[:, :4].ravel(), picture[:, -4:].ravel()]
    )
    assert (border == 255).all()
    for axes in figure.axes:
        box = axes.get_tightbbox()
        assert box.min.min() >= 0
        assert (box.max <= [picture.shape[1], picture.shape[0]]).all()
    assert (picture < 100).any()


def test_numbers_stand_in_small_matrices_only():
    numbers = [
        text.get_text()
        for text in draw_heatmap(np.array([[0.534, 0.0, 0.999]]), list("abc"), ["p"]).axes[0].texts
    ]
    assert numbers == [".53", ".00", "1"]
    assert not draw_heatmap(np.ones((2, 13)) / 13, ["a"] * 13, ["p"] * 2).axes[0].texts
    assert len(draw_heatmap(np.ones((12, 12)) / 12, ["a"] * 12, ["p"] * 12).axes[0].texts) == 144


@pytest.mark.parametrize(("T", "S"), [(0, 3), (3, 0), (0, 0), (1, 1)])
def test_empty_and_tiny_matrices(tmp_path, T, S):
    save_heatmap(tmp_path / "a.png", np.ones((T, S)), ["a"] * S, ["b"] * T, title="t")
    save_heatmap(tmp_path / "a.svg", np.ones((T, S)), ["a"] * S, ["b"] * T)
    picture = to_image(draw_heatmap(np.ones((T, S)), ["a"] * S, ["b"] * T))
    assert picture.dtype == np.uint8
    assert picture.shape[2] == 3


def test_picture_and_file_agree(tmp_path):
    save_heatmap(tmp_path / "a.png", WEIGHTS, ENGLISH, MARATHI)
    pixels = np.round(image.imread(tmp_path / "a.png")[..., :3] * 255).astype(np.uint8)
    np.testing.assert_array_equal(pixels, to_image(draw_heatmap(WEIGHTS, ENGLISH, MARATHI)))


def test_size_grows_with_the_sentence_up_to_a_limit():
    width = {
        n: draw_heatmap(np.zeros((1, n)), ["w"] * n, ["v"]).axes[0].get_window_extent().width / 160
        for n in (5, 15, 60, 100, 400)
    }
    assert width[5] < width[15] < width[60] < width[100] <= width[400]
    assert width[60] / 60 > 0.14  # inches a token: labels of 6 points and more
    assert width[400] <= 24.01


def test_a_very_long_label_is_shortened():
    figure = draw_heatmap(np.ones((1, 1)), ["字" * 5000], ["a" * 5000])
    assert max(figure.get_size_inches()) < 12


def test_weights_beside_the_scale_do_no_harm():
    figure = draw_heatmap(np.array([[np.nan, 1.5, -0.5]]), list("abc"), ["p"])
    assert to_image(figure).std() > 0


def test_colours_run_evenly_from_light_to_dark():
    rgb = heatmap.COLOURS(np.linspace(0, 1, 21))[:, :3]
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    lightness = 116 * np.cbrt(linear @ [0.2126, 0.7152, 0.0722]) - 16  # CIE L*
    steps = -np.diff(lightness)
    assert steps.min() > 0.7 * steps.mean()
    assert steps.max() < 1.4 * steps.mean()


def test_the_kind_of_file_is_checked_before_any_work(tmp_path):
    with pytest.raises(ConfigError, match=r"a\.pdf.*\.png.*\.svg"):
        save_heatmap(tmp_path / "a.pdf", WEIGHTS, ENGLISH, MARATHI)
    assert not list(tmp_path.iterdir())


def test_no_global_state_and_threads_agree(tmp_path):
    before = dict(matplotlib.rcParams)
    save_heatmap(tmp_path / "alone.svg", WEIGHTS, ENGLISH, MARATHI)
    alone = to_image(draw_heatmap(WEIGHTS, ENGLISH, MARATHI))

    def both(number):
        save_heatmap(tmp_path / f"{number}.svg", WEIGHTS, ENGLISH, MARATHI)
        return to_image(draw_heatmap(WEIGHTS, ENGLISH, MARATHI))

    with ThreadPoolExecutor(4) as pool:
        for number, picture in enumerate(pool.map(both, range(8))):
            np.testing.assert_array_equal(picture, alone)
            assert (tmp_path / f"{number}.svg").read_bytes() == (tmp_path / "alone.svg").read_bytes()
    assert dict(matplotlib.rcParams) == before


def test_pyplot_stays_unloaded():
    program = "import sys, nmt.visualisation.heatmap; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


# ---------------------------------------------------------------- grids


@pytest.mark.parametrize(("panels", "columns", "rows"), [(1, 2, 1), (5, 2, 3), (6, 3, 2)])
def test_a_grid_has_all_its_panels_apart_from_each_other(panels, columns, rows):
    sizes = [(6, 5), (3, 8), (12, 4), (1, 1), (2, 9), (7, 7)][:panels]
    content = [Panel(np.full((T, S), 0.3), ["source"] * S, ["target"] * T) for T, S in sizes]
    figure = draw_grid(content, columns)
    assert len(figure.axes) == panels
    figure.canvas.draw()
    boxes = [axes.get_tightbbox() for axes in figure.axes]
    assert len({round(axes.get_position().y1, 3) for axes in figure.axes}) <= panels
    full = figure.bbox
    for box in boxes:  # nothing is cut off
        assert box.x0 >= full.x0 - 1
        assert box.y0 >= full.y0 - 1
        assert box.x1 <= full.x1 + 1
        assert box.y1 <= full.y1 + 1
    for k, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[k + 1 :])
    lines = {k // columns for k in range(panels)}
    assert len(lines) == rows


def test_a_grid_shows_each_panels_weights_and_labels():
    one, two = Panel(np.eye(2), ["a", "b"], ["c", "d"]), Panel(np.ones((1, 1)), ["e"], ["पत्र"])
    figure = draw_grid([one, two])
    texts = [[label.get_text() for label in axes.get_yticklabels()] for axes in figure.axes]
    assert texts == [["c", "d"], ["पत्र"]]
    meshes = [axes.collections[0].get_array().reshape(-1).tolist() for axes in figure.axes]
    assert meshes == [[1, 0, 0, 1], [1]]
