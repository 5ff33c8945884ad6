"""Opens the page of a comparison from disk in a headless Chromium without a network and uses it as a reader does.

    compare_page_test.py PROGRAM COMPARISON [FOLDER FOR SCREENSHOTS]

Exit code 77: Chromium, its driver or python3-selenium is missing, and why stands on the last line.
"""

import base64
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
import zlib

SKIPPED = 77

try:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
except ImportError as missing:
    print(f"skipped: {missing} (Debian package python3-selenium)")
    sys.exit(SKIPPED)

for tool, package in (("chromium", "chromium"), ("chromedriver", "chromium-driver")):
    if shutil.which(tool) is None:
        print(f"skipped: {tool} is not installed (Debian package {package})")
        sys.exit(SKIPPED)

PROGRAM, COMPARISON = sys.argv[1:3]
SHOTS = pathlib.Path(sys.argv[3]) if len(sys.argv) > 3 else None


def open_browser(folder):
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                     "--disable-background-networking", "--disable-component-update", "--no-first-run",
                     "--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={folder}/profile"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(service=Service(shutil.which("chromedriver")), options=options)


def ink(png):
    """The share of bytes of a PNG that differ from their neighbour's: near 0 where nothing is drawn."""
    data, at = b"", 8
    while at < len(png):
        length = int.from_bytes(png[at:at + 4], "big")
        if png[at + 4:at + 8] == b"IDAT":
            data += png[at + 8:at + 8 + length]
        at += length + 12
    raw = zlib.decompress(data)
    return 1 - raw.count(0) / len(raw)


class ComparePage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        page = pathlib.Path(cls.folder.name) / "compare.html"
        subprocess.run([PROGRAM, "compare", COMPARISON, "--report", str(page)], check=True,
                       stdout=subprocess.DEVNULL)
        cls.url = page.as_uri()
        cls.driver = open_browser(cls.folder.name)

    @classmethod
    def tearDownClass(cls):
        cls.driver.quit()
        cls.folder.cleanup()

    def setUp(self):
        self.emulate()
        self.size(1280, 900)
        self.driver.get(self.url)

    def tearDown(self):
        faults = [entry["message"] for entry in self.driver.get_log("browser")
                  if entry["level"] in ("SEVERE", "WARNING")]
        self.assertEqual(faults, [])

    def emulate(self, media="", scheme="light"):
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {
            "media": media, "features": [{"name": "prefers-color-scheme", "value": scheme}]})

    def size(self, width, height):
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600})

    def script(self, body, *arguments):
        return self.driver.execute_script(body, *arguments)

    def find(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def show(self, element):
        """Scrolls to it, and waits until the page has heard of it: notes are hidden when a page scrolls."""
        self.driver.execute_async_script("""const done = arguments[arguments.length - 1];
            arguments[0].scrollIntoView({block: "center"});
            requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done)));""", element)

    def tip(self):
        return self.script("const tip = document.getElementById('tip'); return tip.hidden ? null : tip.textContent;")

    def column(self, index):
        """Texts of one column of the live table, of the rows that are shown."""
        return self.script("""return [...document.querySelectorAll("table.live tbody tr:not([hidden])")]
            .map(row => row.cells[arguments[0]].dataset.v ?? row.cells[arguments[0]].textContent.trim());""", index)

    def heading(self, text):
        return self.script("""const all = [...document.querySelectorAll("table.live thead th")];
            return all.findIndex(th => th.textContent.startsWith(arguments[0]));""", text)

    def shot(self, name):
        png = self.driver.get_screenshot_as_png()
        if SHOTS:
            SHOTS.mkdir(parents=True, exist_ok=True)
            (SHOTS / f"{name}.png").write_bytes(png)
        return png

    def test_asks_nothing_of_any_network(self):
        urls = []
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                urls.append(message["params"]["request"]["url"])
        self.assertEqual([url for url in urls if not url.startswith(("file://", "data:", "about:", "chrome:"))], [])

    def test_sorts_by_a_heading(self):
        column = self.heading("Throughput")
        button = self.script("""return document.querySelectorAll("table.live thead th")[arguments[0]]
            .querySelector("button");""", column)
        self.show(button)
        before = self.column(column)
        button.click()
        self.assertEqual(self.column(column), sorted(before, key=lambda v: -float(v) if v != "–" else 0))
        button.send_keys(Keys.ENTER)  # the keyboard, the other way
        numbers = [float(v) for v in self.column(column) if v != "–"]
        self.assertEqual(numbers, sorted(numbers))
        self.assertEqual(self.script("""return document.querySelectorAll("table.live thead th")[arguments[0]]
            .getAttribute("aria-sort");""", column), "ascending")

    def test_filters_rows_and_marks(self):
        everything = len(self.column(0))
        field = self.find(".filter input")
        field.send_keys("simulated")
        kinds = self.column(1)
        self.assertTrue(kinds)
        self.assertLess(len(kinds), everything)
        for kind in kinds:
            self.assertIn("simulated", kind)
        self.assertEqual(self.find(".filter output").text, f"{len(kinds)} of {everything} rows")
        clear, faint = self.script("""const marks = [...document.querySelectorAll("svg.plot [data-tip]")];
            const faint = marks.filter(mark => mark.classList.contains("faint"));
            const clear = marks.filter(mark => !faint.includes(mark));
            return [clear.map(mark => mark.dataset.tip), faint.length];""")
        self.assertTrue(clear and faint)
        self.assertTrue(all("simulated" in text for text in clear))
        field.clear()
        field.send_keys("-simulated")
        self.assertEqual(len(self.column(0)), everything - len(kinds))

    def test_marks_say_where_they_come_from(self):
        for provenance in ("simulated", "estimated", "published"):
            mark = self.script("""return [...document.querySelectorAll("svg.plot :is(.dot, .ring)[data-tip]")]
                .find(mark => mark.dataset.tip.split("\\n")[1].startsWith(arguments[0]));""", provenance)
            self.assertIsNotNone(mark, provenance)
            # Another mark may lie on it: the topmost there is asked.
            self.script("arguments[0].parentElement.append(arguments[0])", mark)
            self.show(mark)
            ActionChains(self.driver).move_to_element(mark).perform()
            text = self.tip()
            self.assertIsNotNone(text)
            self.assertIn(provenance, text)
            self.assertIn("Source: ", text)
            if provenance == "estimated":
                self.shot("hover")

    def test_marks_are_reached_by_the_keyboard(self):
        first = self.find("svg.plot [data-tip][tabindex='0']")
        self.show(first)
        self.script("arguments[0].focus()", first)
        one = self.tip()
        self.assertIn("Source: ", one)
        self.driver.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
        two = self.tip()
        self.assertIn("Source: ", two)
        self.assertNotEqual(one, two)
        self.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
        self.assertIsNone(self.tip())

    def test_fits_wide_and_narrow_screens(self):
        for width in (1280, 390):
            self.size(width, 900)
            self.driver.get(self.url)
            self.assertGreater(ink(self.shot(f"top-{width}")), 0.01)
            self.assertLessEqual(self.script("return document.documentElement.scrollWidth"), width)
            for index, section in enumerate(self.driver.find_elements(By.CSS_SELECTOR, "main > section")):
                self.script("arguments[0].scrollIntoView()", section)
                time.sleep(0.05)
                self.assertGreater(ink(self.shot(f"section-{width}-{index}")), 0.005)

    def test_follows_the_dark_setting(self):
        background = "return getComputedStyle(document.body).backgroundColor"
        light = self.script(background)
        self.emulate(scheme="dark")
        self.assertNotEqual(self.script(background), light)
        self.assertGreater(ink(self.shot("dark")), 0.01)

    def test_prints_without_what_only_a_screen_has(self):
        self.emulate(media="print")
        for selector in (".filter", ".downloads", "nav"):
            self.assertEqual(self.script("return getComputedStyle(document.querySelector(arguments[0])).display",
                                         selector), "none")
        printed = self.driver.execute_cdp_cmd("Page.printToPDF", {"paperWidth": 8.27, "paperHeight": 11.7})
        pdf = base64.b64decode(printed["data"])
        self.assertTrue(pdf.startswith(b"%PDF"))
        self.assertGreater(len(pdf), 20_000)
        if SHOTS:
            (SHOTS / "print.pdf").write_bytes(pdf)

    def test_carries_its_data(self):
        link = self.find(".downloads a[download$='.csv']")
        text = base64.b64decode(link.get_attribute("href").split(",")[1]).decode()
        self.assertTrue(text.startswith("target,provenance,"))

    def test_reads_without_scripts(self):
        self.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
        try:
            self.driver.get(self.url)
            self.assertEqual(self.driver.find_elements(By.CSS_SELECTOR, ".filter"), [])
            self.assertTrue(self.driver.find_elements(By.CSS_SELECTOR, "table.live tbody tr"))
            self.assertTrue(self.driver.find_elements(By.CSS_SELECTOR, "svg.plot .ring > title"))
        finally:
            self.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
