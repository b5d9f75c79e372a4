"""A page, its tables and the scores behind them as tests read them."""

import csv
from html.parser import HTMLParser

from kernbench.ulm.scoring.scores import f1_scores


def f1_of(run, tolerance=4, split="test"):
    """F1 of each line of a cell, (N,)."""
    scores = run.scores[split]
    return f1_scores(scores.tp[tolerance], scores.fn[tolerance], scores.fp[tolerance])


class Page(HTMLParser):
    """Tags, attributes and visible text of a page, and the folder that it is in."""

    QUIET = ("script", "style")

    def __init__(self, html, folder=None):
        super().__init__()
        self.html, self.folder = html, folder
        self.tags, self.links, self.sources, self.texts, self.rows = [], [], [], [], []
        self.in_cell, self.quiet = False, False
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append(tag)
        self.quiet = tag in self.QUIET
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self.in_cell = True
        if "href" in attributes:
            self.links.append(attributes["href"])
        if "src" in attributes:
            self.sources.append(attributes["src"])

    def handle_endtag(self, tag):
        self.quiet = False
        if tag in ("td", "th"):
            self.in_cell = False

    def handle_data(self, data):
        if not self.quiet:
            self.texts.append(data)
        if self.in_cell:
            self.rows[-1][-1] += data.strip()

    @property
    def figures(self):
        """How many there are."""
        return self.tags.count("figure")

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())

    def table(self, name):
        """Rows of a CSV table beside the page; none where there is no such file."""
        path = self.folder / f"{name}.csv"
        return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines())) if path.exists() else []
