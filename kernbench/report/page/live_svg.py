"""A figure inside the page: its points are links with a text, its series have names that a script can find."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote
from xml.etree import ElementTree as Tree

SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
REFERENCE = re.compile(r"url\(#([^)]*)\)")
# what HTML expects: no prefix for SVG, `xlink` for links
Tree.register_namespace("", SVG)
Tree.register_namespace("xlink", XLINK)


@dataclass(frozen=True)
class Mark:
    """What a point of the figure says and where it leads.

    Attributes:
        row: id of its row in the page.
        text: value, interval and number of seeds.
        series: its name.
    """

    row: str
    text: str
    series: str


def live_svg(content: bytes, anchor: str, marks: Mapping[str, Mark], label: str) -> str:
    """A figure for the body of a page.

    Args:
        content: SVG as `as_svg` makes it, with the ids of `layout.series_id` and `layout.point_id`.
        anchor: put before every other id, because several figures share a page.
        marks: name of a point -> its mark. A point without one stays as it is.
        label: for readers who do not see it.

    Returns:
        An `svg` element. Without a script its points are links whose title a browser shows.
    """
    root = Tree.fromstring(content)  # noqa: S314  # our own file, made a moment ago
    for metadata in root.findall(f"{{{SVG}}}metadata"):
        root.remove(metadata)
    for element in root.iter():
        _rename(element, anchor)
    for parent in list(root.iter()):
        for place, element in enumerate(list(parent)):
            kind, _, name = element.get("id", "").partition("=")
            if kind == "series":
                del element.attrib["id"]
                element.set("data-series", unquote(name.partition("=")[0]))
            elif kind == "point" and unquote(name) in marks:
                parent[place] = _link(element, marks[unquote(name)])
    for name in ("width", "height"):
        root.attrib.pop(name, None)
    root.attrib |= {"role": "img", "aria-label": label, "class": "live"}
    return Tree.tostring(root, encoding="unicode")


def _rename(element: Tree.Element, anchor: str) -> None:
    name = element.get("id")
    if name and not name.startswith(("series=", "point=")):
        element.set("id", f"{anchor}-{name}")
    for key, value in element.attrib.items():
        if key in ("href", f"{{{XLINK}}}href") and value.startswith("#"):
            element.set(key, f"#{anchor}-{value[1:]}")
        elif "url(#" in value:
            element.set(key, REFERENCE.sub(rf"url(#{anchor}-\1)", value))


def _link(element: Tree.Element, mark: Mark) -> Tree.Element:
    del element.attrib["id"]
    attributes = {"href": f"#{mark.row}", "class": "mark", "data-series": mark.series, "data-text": mark.text}
    link = Tree.Element(f"{{{SVG}}}a", attributes)
    title = Tree.SubElement(link, f"{{{SVG}}}title")
    title.text = mark.text
    link.append(element)
    return link
