"""Hook of mkdocs: a page that would load something from another host is a warning, so that a strict build fails."""

import logging
from html.parser import HTMLParser

log = logging.getLogger("mkdocs.hooks.site_check")

_LOADED = {"script": "src", "img": "src", "iframe": "src", "link": "href", "source": "src", "object": "data"}


class _Loaded(HTMLParser):
    """Collects the addresses of other hosts that a browser would ask while it shows a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        address = dict(attrs).get(_LOADED.get(tag, "")) or ""
        if address.startswith(("http:", "https:", "//")):
            self.found.append(address)


def loaded_from_elsewhere(html: str) -> list[str]:
    """Addresses of other hosts that a browser would ask for; links that a reader follows are not among them."""
    parser = _Loaded()
    parser.feed(html)
    return parser.found


def on_post_page(output: str, page: object, **_: object) -> str:
    """Called by mkdocs with every page that is about to be written."""
    for address in loaded_from_elsewhere(output):
        log.warning("%s would load %s", page, address)
    return output
