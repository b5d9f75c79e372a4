"""The page in a real browser: with and without its script, light and dark, narrow and wide, printed."""

import base64
import json

import pytest

pytest.importorskip("selenium.webdriver")
from browsing import chromium, needs_chromium  # selenium may be absent
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select, WebDriverWait

from kernbench.report.page.html import write_report

pytestmark = needs_chromium

HOSTILE = "x<script>window.hurt=1</script>"
QUALITY = {"discrete": 0.70, "siren": 0.80, "gaussian": 0.60, HOSTILE: 0.5}
SIZES = (9, 33, 129)


@pytest.fixture(scope="module")
def page(tmp_path_factory, make_run):
    """Address of a page that was mailed: alone, without the files beside it."""
    runs = [
        make_run(family, size, seed, quality - 0.01 * seed, artifacts=seed == 0 and family != HOSTILE, lines=40)
        for family, quality in QUALITY.items()
        for size in SIZES
        for seed in (0, 1)
    ]
    runs += [make_run("log", 9, status="diverged")]
    made = write_report(runs, tmp_path_factory.mktemp("report"))
    alone = tmp_path_factory.mktemp("mailed") / "page.html"
    alone.write_bytes(made.read_bytes())
    return alone.as_uri()


@pytest.fixture(scope="module")
def downloads(tmp_path_factory):
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def browser(tmp_path_factory, downloads):
    driver = chromium(tmp_path_factory.mktemp("profile"), downloads)
    yield driver
    driver.quit()


@pytest.fixture(autouse=True)
def _no_error_and_nothing_from_outside(browser, page):
    browser.get_log("browser")
    yield
    assert browser.get_log("browser") == []
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [each["params"] for each in messages if each["method"] == "Network.requestWillBeSent"]
    asked = {each["request"]["url"] for each in sent if each["documentURL"].startswith("file:")}
    # Chromium counts pictures within the page as requests
    assert {url.partition("#")[0] for url in asked if not url.startswith(("data:", "blob:"))} <= {page}
    assert browser.execute_script("return window.hurt") is None


@pytest.fixture
def opened(browser, page):
    browser.get("about:blank")  # or else another place in the same page is not loaded again
    browser.get(page)
    return browser


def find(browser, selector):
    return browser.find_element(By.CSS_SELECTOR, selector)


def seen(browser, selector):
    return [each for each in browser.find_elements(By.CSS_SELECTOR, selector) if each.is_displayed()]


def column(browser, table, number):
    """First cells of a column, from top to bottom, of the rows that are seen."""
    return [row.find_elements(By.TAG_NAME, "td")[number].text for row in seen(browser, f"#{table} tbody tr")]


def wide(browser):
    return browser.execute_script("return document.documentElement.scrollWidth")


def test_a_table_is_sorted_by_its_heads_and_the_address_says_so(opened, page):
    head = opened.find_elements(By.CSS_SELECTOR, "#c1-matrix thead th")[2]
    before = column(opened, "c1-matrix", 0)
    head.click()
    assert column(opened, "c1-matrix", 0)[:3] == ["siren", "discrete", "gaussian"]
    assert column(opened, "c1-matrix", 0)[-1] == "log"  # no score is last either way
    head.click()
    assert column(opened, "c1-matrix", 0)[1:] == ["gaussian", "discrete", "siren", "log"]
    assert head.get_attribute("aria-sort") == "ascending"
    address = opened.current_url
    head.click()
    assert column(opened, "c1-matrix", 0) == before
    opened.get("about:blank")
    opened.get(address)
    assert column(opened, "c1-matrix", 0)[1:] == ["gaussian", "discrete", "siren", "log"]


def test_rows_are_filtered_and_the_address_says_so(opened, page):
    find(opened, "#c1-points-find").send_keys("SIREN")
    assert column(opened, "c1-points", 0) == ["siren"] * 3
    address = opened.current_url
    find(opened, "#c1-points-find").clear()
    find(opened, "#c1-points-find").send_keys(" ")
    assert len(column(opened, "c1-points", 0)) == 13
    opened.get("about:blank")
    opened.get(address)
    assert column(opened, "c1-points", 0) == ["siren"] * 3
    assert find(opened, "#c1-points-find").get_attribute("value") == "SIREN"


def test_a_family_is_switched_off_everywhere_and_on_again(opened):
    def marks(name):
        return [each for each in seen(opened, "svg.live a.mark") if each.get_attribute("data-series") == name]

    button = next(each for each in seen(opened, ".legend button") if each.get_attribute("data-toggle") == "siren")
    assert len(marks("siren")) == len(marks("discrete")) == 3
    button.click()
    assert button.get_attribute("aria-pressed") == "false"
    assert (len(marks("siren")), len(marks("discrete"))) == (0, 3)
    assert "siren" not in column(opened, "c1-matrix", 0)
    assert "hide=siren" in opened.current_url
    opened.refresh()
    assert marks("siren") == []
    next(each for each in seen(opened, ".legend button") if each.text == "all").click()
    assert len(marks("siren")) == 3
    assert "hide" not in opened.current_url


def test_a_point_says_what_it_is_and_leads_to_its_row(opened):
    mark = next(
        each
        for each in opened.find_elements(By.CSS_SELECTOR, "svg.live a.mark")
        if "siren (kernel_size = 33)" in each.get_attribute("data-text")
    )
    ActionChains(opened).move_to_element(mark).perform()
    tip = find(opened, "#tip")
    assert tip.is_displayed()
    row = next(each for each in seen(opened, "#c1-points tbody tr") if each.text.split()[:2] == ["siren", "33"])
    interval = row.find_elements(By.TAG_NAME, "td")[2].text
    assert tip.text == f"siren (kernel_size = 33): F1 {interval}, 2 seeds, 40 lines"
    mark.click()
    assert opened.current_url.endswith(f"#{row.get_attribute('id')}")
    assert "here" in row.get_attribute("class")
    opened.back()
    assert "here" not in row.get_attribute("class")


def test_a_link_leads_also_to_what_is_hidden_and_odd_addresses_do_nothing(opened, page):
    row = next(each for each in seen(opened, "#c1-points tbody tr") if each.text.split()[:2] == ["siren", "33"])
    place = row.get_attribute("id")
    opened.get("about:blank")
    odd = "&sort=c1-points.length.up&sort=c1-points.__proto__.down&sort=none.1.up"
    opened.get(f"{page}#{place}?hide=siren&hide=discrete&find=c1-points.gaussian{odd}")
    assert column(opened, "c1-points", 0).count("siren") == 3
    assert "discrete" not in column(opened, "c1-points", 0)
    assert "here" in find(opened, f"#{place}").get_attribute("class")


def test_a_row_leads_to_its_kernels_and_to_the_curve(opened):
    row = next(each for each in seen(opened, "#c1-points tbody tr") if each.text.split()[:2] == ["siren", "129"])
    row.find_element(By.LINK_TEXT, "kernels").click()
    (shown,) = seen(opened, ".chooser > details")
    assert shown.text.startswith("siren (kernel_size = 129)")
    family, size = (Select(each) for each in opened.find_elements(By.CSS_SELECTOR, ".chooser select"))
    assert (family.first_selected_option.text, size.first_selected_option.text) == ("siren", "129")
    family.select_by_visible_text("discrete")
    size.select_by_visible_text("9")
    (shown,) = seen(opened, ".chooser > details")
    assert shown.text.startswith("discrete (kernel_size = 9)")
    assert opened.current_url.endswith("#" + shown.get_attribute("id"))
    row.find_element(By.LINK_TEXT, "training").click()
    assert opened.current_url.endswith("#c1-learning")


def test_costs_are_shown_on_demand(opened):
    assert not seen(opened, "#c1-matrix .cost")
    find(opened, "#c1-costs-shown").click()
    assert {each.text for each in seen(opened, "#c1-matrix td.cost")} >= {"4,321", "4,000"}


@pytest.mark.parametrize("name", ["summary.csv", "differences.csv"])
def test_tables_come_out_of_the_page(opened, name, downloads):
    find(opened, "details summary").click()
    find(opened, f"a[download='{name}']").click()
    WebDriverWait(opened, 60).until(lambda _: (downloads / name).exists())
    assert (downloads / name).read_text(encoding="utf-8").startswith("comparison,")


def test_figures_come_out_of_the_page(opened, downloads):
    for link in opened.find_elements(By.CSS_SELECTOR, "#c1-sweep .file a, #c1-costs .file a"):
        name = link.get_attribute("download")
        link.click()
        WebDriverWait(opened, 60).until(lambda _, path=downloads / name: path.exists())
        assert "<svg" in (downloads / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 768, 1400])
def test_it_fits_and_can_be_read(opened, width, scheme):
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    try:
        assert wide(opened) <= width
        paper, ink = (colour(opened, name) for name in ("backgroundColor", "color"))
        assert (sum(paper) > sum(ink)) == (scheme == "light")
        # a figure is drawn 5.6 or 7.2 inches wide with letters of 7 points and more
        for figure in opened.find_elements(By.CSS_SELECTOR, "figure svg, figure img"):
            if figure.is_displayed():
                assert figure.size["width"] * 7 / (7.2 * 72) >= 8
    finally:
        opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def colour(browser, name):
    text = browser.execute_script(f"return getComputedStyle(document.body).{name}")
    return [int(part) for part in text.strip("rgba()").split(",")[:3]]


def test_without_its_script_it_is_complete(browser, page):
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get("about:blank")
        browser.get(page)
        assert not seen(browser, ".legend, .tools, #tip")
        assert len(seen(browser, ".chooser > details")) == 9
        titles = [each.get_attribute("textContent") for each in browser.find_elements(By.CSS_SELECTOR, "a.mark title")]
        assert len(titles) == 13
        assert any(title.startswith("siren (kernel_size = 33): F1 0.") for title in titles)
        mark = find(browser, "a.mark[data-series='siren']")
        mark.click()
        assert browser.current_url.endswith(mark.get_dom_attribute("href"))
        assert find(browser, "a[download='summary.csv']").get_attribute("href").startswith("data:text/csv")
        browser.find_elements(By.CSS_SELECTOR, "#c1-costs-shown")[0].click()
        assert seen(browser, "#c1-matrix td.cost")
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_it_prints(opened):
    printed = base64.b64decode(opened.print_page())
    assert printed.startswith(b"%PDF-")
    assert printed.count(b"/Type /Page\n") + printed.count(b"/Type /Page ") >= 3
