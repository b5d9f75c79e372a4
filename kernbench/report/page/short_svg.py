"""A figure of matplotlib made smaller for the page, which is mailed; the file beside the page stays as it is."""

import re
from collections import Counter

# coordinates of paths and markers; a scale in a `transform` keeps its digits
PATH, DECIMALS = re.compile(rb'\s(?:d|x|y)="[^"]*"'), re.compile(rb"(\.\d)\d+")
# what a user wrote may look like an attribute; within a tag, `<` and `>` are escaped
TAG = re.compile(rb"<[^>]*>")
COMMENT, BETWEEN = re.compile(rb"<!--[^>]*-->"), re.compile(rb">\s+<")
STYLE = re.compile(rb'style="([^"]*)"')
ID, REFERENCE = re.compile(rb' id="([^"]*)"'), re.compile(rb'(?:href="#|url\(#)([^")]*)')
KEPT = (b"series=", b"point=")  # names that the page looks for


def shortened(content: bytes) -> bytes:
    """An SVG with coordinates of one decimal, 1/720 inch, and without ids and spaces that nothing refers to."""
    content = BETWEEN.sub(b"><", COMMENT.sub(b"", content))
    used = set(REFERENCE.findall(content))

    def tag(found: re.Match[bytes]) -> bytes:
        short = PATH.sub(lambda path: DECIMALS.sub(rb"\1", b" " + b" ".join(path[0].split())), found[0])
        return ID.sub(lambda name: name[0] if name[1] in used or name[1].startswith(KEPT) else b"", short)

    return TAG.sub(tag, content)


def with_classes(content: bytes) -> bytes:
    """An SVG whose styles are written once; only for an image, because classes within a page are the page's."""
    counts = Counter(STYLE.findall(content))
    often = {style: b"s%d" % number for number, (style, count) in enumerate(counts.most_common()) if count > 2}
    rules = b"".join(b".%s{%s}" % (name, style) for style, name in often.items())
    content = STYLE.sub(lambda found: b'class="%s"' % often[found[1]] if found[1] in often else found[0], content)
    return content.replace(b"</style>", rules + b"</style>", 1)
