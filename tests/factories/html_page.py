"""Parses HTML strictly: elements must be closed in their order."""

from html.parser import HTMLParser

VOID = {"meta", "img", "br", "hr", "link", "input"}
LOADS = {"src", "srcset", "data", "poster", "background"}


class Page(HTMLParser):
    """Lists what a page holds, in its order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.loaded: list[str] = []  # addresses that a browser loads by itself, those of stylesheets included
        self.links: list[str] = []
        self.ids: list[str] = []
        self.alternatives: list[str] = []  # texts in place of images
        self.texts: list[str] = []
        self.tags: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == [], f"not closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        assert len(known) == len(attrs), f"an attribute twice in <{tag}>"
        self.tags.append(tag)
        self.loaded += [value or "" for name, value in attrs if name in LOADS]
        if tag == "link":
            self.loaded.append(known.get("href") or "")
        if tag == "a":
            self.links.append(known.get("href") or "")
        if tag == "img":
            self.alternatives.append(known.get("alt") or "")
        if "id" in known:
            self.ids.append(known["id"] or "")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open[-1] == tag, f"</{tag}> closes <{self.open[-1]}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if data.strip() and self.open[-1:] != ["style"]:
            self.texts.append(" ".join(data.split()))
