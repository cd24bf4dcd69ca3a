"""The page in a real browser: it opens, searches, sorts, shows links, and takes no sentence for markup."""

import pytest

from nmt.visualisation.page import Sentence, render_page

webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium")
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import Select  # noqa: E402

ATTACK = "<script>window.attacked = true</script><img src=x onerror='window.attacked = true'>"


def sentence(number: int, score: float, **changes: object) -> Sentence:
    row = Sentence(
        source=f"The dog {number} sees.",
        translation=f"कुत्रा {number} पाहतो.",
        source_words=["The", "dog", str(number), "sees", ".", "</s>"],
        target_words=["कुत्रा", str(number), "पाहतो", ".", "</s>"],
        log_probability=-float(number),
        weights=[
            [0.3, 0.7, 0, 0, 0, 0],
            [0, 0, 1, 0, 0, 0],
            [0, 0, 0, 0.9, 0, 0.1],
            [0, 0, 0, 0, 1, 0],
            [0, 0, 0, 0, 0, 1],
        ],
        low=[],
        score=score,
        references=[f"कुत्रा {number} पाहतो."],
    )
    return Sentence(**(row | changes))  # type: ignore[typeddict-item]


@pytest.fixture
def page(browser, tmp_path):
    """Opens a page and sees that it starts without a complaint."""

    def opened(sentences, **parts):
        path = tmp_path / "page.html"
        path.write_text(render_page("A <b>run</b>", sentences, **parts), encoding="utf-8")
        browser.get(path.as_uri())
        assert browser.execute_script("return document.documentElement.dataset.ready") == "yes"
        assert browser.get_log("browser") == []
        return browser

    return opened


def rows(browser) -> list[str]:
    return [one.text for one in browser.find_elements(By.CSS_SELECTOR, "#list .source")]


def test_everything_is_there(page):
    browser = page(
        [sentence(1, 50.0)],
        scores=[{"name": "BLEU", "value": "12.34", "signature": "nrefs:1"}],
        notes=["a note"],
        curves=[{"name": "Development BLEU", "steps": [1, 2], "values": [3.0, 4.0]}],
        groups=[
            {
                "by": "words in the source sentence",
                "ranges": [{"label": "≤5", "sentences": 7, "bleu": 30.0, "chrf": 45.67, "few": True}],
            },
            {"by": "nothing", "ranges": []},
        ],
        tables={"Settings": [("seed", "1")]},
    )
    assert browser.title == "A <b>run</b>"
    text = browser.find_element(By.TAG_NAME, "body").text
    for part in ("A <b>run</b>", "12.34", "nrefs:1", "a note", "Development BLEU", "Settings"):
        assert part in text
    assert "BLEU by words in the source sentence" in text
    assert "nothing" not in text
    cells = browser.find_elements(By.CSS_SELECTOR, "#groups td")
    assert [cell.text for cell in cells] == ["≤5", "7", "30.0", "45.7"]
    assert len(browser.find_elements(By.CSS_SELECTOR, "svg")) == 2


def test_a_curve_has_a_gap_where_there_is_no_value(page):
    values = [4.0, 3.0, None, 2.0, None, 1.0, 1.5]
    curves = [
        {"name": "gaps", "steps": list(range(10, 17)), "values": values},
        {"name": "nothing", "steps": [1, 2], "values": [None, None]},
        {"name": "complete", "steps": [1, 2, 3], "values": [0.0, 1.0, 0.5]},
    ]
    browser = page([sentence(1, 50.0), sentence(2, 10.0)], curves=curves)
    gaps, nothing, complete = browser.find_elements(By.CSS_SELECTOR, "#curves svg")

    def attributes(picture, tag: str, attribute: str) -> list[str]:
        return [
            one.get_attribute(attribute) for one in picture.find_elements(By.CSS_SELECTOR, f"{tag}.curve")
        ]

    lines = [line.split() for line in attributes(gaps, "polyline", "points")]
    assert [len(line) for line in lines] == [2, 2]
    (dot,) = attributes(gaps, "circle", "cx")
    across = [float(point.split(",")[0]) for line in lines for point in line]
    assert across[0] < across[1] < float(dot) < across[2] < across[3]
    down = [float(point.split(",")[1]) for line in lines for point in line]
    assert max(down) == down[2]  # the lowest is 1.0: nothing is drawn as 0
    assert [len(line.split()) for line in attributes(complete, "polyline", "points")] == [3]
    assert attributes(nothing, "polyline", "points") == attributes(nothing, "circle", "cx") == []
    labels = [text.text for text in nothing.find_elements(By.TAG_NAME, "text")]
    assert labels[:3] == ["0.00", "0.50", "1.00"]


def test_searching_and_sorting(page):
    browser = page([sentence(1, 50.0), sentence(2, 10.0), sentence(3, 90.0)])
    order = Select(browser.find_element(By.ID, "order"))
    order.select_by_visible_text("worst first (chrF2)")
    assert rows(browser) == ["The dog 2 sees.", "The dog 1 sees.", "The dog 3 sees."]
    order.select_by_visible_text("best first (chrF2)")
    assert rows(browser) == ["The dog 3 sees.", "The dog 1 sees.", "The dog 2 sees."]
    search = browser.find_element(By.ID, "search")
    search.send_keys("DOG 2")
    assert rows(browser) == ["The dog 2 sees."]
    assert browser.find_element(By.ID, "count").text == "1 of 3"
    search.clear()
    search.send_keys("कुत्रा 3")
    assert rows(browser) == ["The dog 3 sees."]


def strengths(browser, side: str) -> list[float]:
    words = "[...document.querySelectorAll(arguments[0])]"
    script = f"return {words}.map((word) => +word.style.getPropertyValue('--strength'))"
    return browser.execute_script(script, f".{side}-words button")


def test_pointing_at_a_word_shows_its_links(page):
    browser = page([sentence(1, 50.0), sentence(2, 10.0)])
    assert not browser.find_elements(By.CSS_SELECTOR, ".alignment")
    browser.find_element(By.CSS_SELECTOR, ".row").click()
    target = browser.find_elements(By.CSS_SELECTOR, ".target-words button")
    webdriver.ActionChains(browser).move_to_element(target[0]).perform()
    assert strengths(browser, "source") == pytest.approx([0.3, 0.7, 0, 0, 0, 0])
    source = browser.find_elements(By.CSS_SELECTOR, ".source-words button")
    webdriver.ActionChains(browser).move_to_element(source[3]).perform()
    assert strengths(browser, "target") == pytest.approx([0, 0, 0.9, 0, 0])
    assert strengths(browser, "source") == [0] * 6
    assert target[0].get_attribute("aria-label") == "कुत्रा: dog 70%, The 30%"


def test_the_keyboard_is_enough(page):
    browser = page([sentence(1, 50.0), sentence(2, 10.0)])
    browser.find_element(By.ID, "order").send_keys(Keys.TAB, Keys.ENTER)
    first = browser.switch_to.active_element
    assert first.get_attribute("aria-expanded") == "true"
    first.send_keys(Keys.TAB)  # The
    browser.switch_to.active_element.send_keys(Keys.TAB)  # dog
    assert browser.switch_to.active_element.text == "dog"
    assert strengths(browser, "target") == pytest.approx([0.7, 0, 0, 0, 0])
    browser.switch_to.active_element.send_keys(Keys.TAB)
    assert strengths(browser, "target") == pytest.approx([0, 1, 0, 0, 0])


def test_markup_in_sentences_is_text(page):
    attack = sentence(
        1, 50.0, source=ATTACK, translation=ATTACK, references=[ATTACK], source_words=[ATTACK] * 6, low=[0]
    )
    browser = page([attack, sentence(2, 10.0)], subtitle=ATTACK, tables={ATTACK: [(ATTACK, ATTACK)]})
    browser.find_element(By.CSS_SELECTOR, ".row").click()
    assert rows(browser)[0] == ATTACK
    assert browser.execute_script("return window.attacked") is None
    assert not browser.find_elements(By.TAG_NAME, "img")


def test_under_translated_words_are_marked(page):
    browser = page([sentence(1, 50.0, low=[1]), sentence(2, 10.0)])
    assert "under-translated: dog" in browser.find_element(By.CSS_SELECTOR, ".row").text
    browser.find_element(By.CSS_SELECTOR, ".row").click()
    marked = browser.find_elements(By.CSS_SELECTOR, ".source-words .low")
    assert [word.text for word in marked] == ["dog"]


def test_without_attention_there_are_words_without_links(page):
    plain = sentence(1, 50.0)
    del plain["weights"], plain["low"]
    browser = page([plain])
    target = browser.find_elements(By.CSS_SELECTOR, ".target-words button")
    webdriver.ActionChains(browser).move_to_element(target[0]).perform()
    assert strengths(browser, "source") == [0] * 6


@pytest.mark.slow
def test_a_page_of_thousands_builds_no_more_than_the_rows_shown(page):
    """Work that is counted, not timed: elements of the document, and those that a search adds."""
    elements = []
    for count in (300, 2000):
        browser = page([sentence(number, number % 97) for number in range(count)])
        elements.append(browser.execute_script("return document.querySelectorAll('*').length"))
    assert elements[0] == elements[1]
    browser.execute_script("""
        window.added = 0;
        const count = (changes) => changes.forEach((one) => { window.added += one.addedNodes.length; });
        new MutationObserver(count).observe(document.body, {childList: true, subtree: true})""")
    browser.find_element(By.ID, "search").send_keys("1999 ")
    assert rows(browser) == ["The dog 1999 sees."]
    assert browser.execute_script("return window.added") <= 200 * len("1999 ")
    assert len(rows(page([sentence(number, 1.0) for number in range(450)]))) == 200
    more = browser.find_element(By.ID, "more")
    more.click()
    more.click()
    assert len(rows(browser)) == 450
    assert not more.is_displayed()


def test_devanagari_shows_without_a_font_on_the_machine(page):
    """Its shapes come with the page: words are as wide as the font says, not as boxes are."""
    browser = page([sentence(1, 50.0)])
    faces = "return [...document.fonts].map((face) => face.family + ' ' + face.status)"
    assert [face.replace('"', "") for face in browser.execute_script(faces)] == ["Devanagari loaded"]
    wide = """
        const word = document.createElement('span');
        word.style.font = '100px ' + arguments[0];
        word.textContent = arguments[1];
        document.body.append(word);
        return word.getBoundingClientRect().width"""
    conjunct, apart = (browser.execute_script(wide, "Devanagari", text) for text in ("त्र", "त\u200cर"))
    assert 0 < conjunct < apart  # a conjunct is one letter


def test_on_a_phone_and_in_the_dark(page):
    browser = page([sentence(1, 50.0, source="word " * 60)])
    device = {"width": 360, "height": 700, "deviceScaleFactor": 2, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", device)
    dark = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", dark)
    wide = "return document.documentElement.scrollWidth"
    assert browser.execute_script(wide) <= 360
    colour = "return getComputedStyle(document.body).backgroundColor"
    assert browser.execute_script(colour) == "rgb(17, 22, 28)"
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
