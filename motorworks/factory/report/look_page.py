"""The page of a look: what each layout would give, with frames."""

import base64

from markupsafe import Markup

from motorworks.factory.look import Look
from motorworks.factory.report.html import Section, absent, listed, table, tiles


def look_sections(look: Look) -> list[Section]:
    """A section per layout, and one of what is left alone."""
    sections = []
    for layout in look.layouts:
        blocks = [
            tiles(
                [
                    ("Recordings", str(layout.num), f"{len(layout.tried)} of them tried", "accent"),
                    ("Clips", str(sum(one.clips for one in layout.tried)), "in those tried", ""),
                    ("Seconds", f"{sum(one.seconds_s for one in layout.tried):.1f}", "in those tried", ""),
                    ("Set aside", str(sum(len(one.quarantine) for one in layout.tried)), "with a reason each", ""),
                ]
            )
        ]
        for one in layout.tried:
            blocks.append(Markup("<h3>{}</h3><p>{}</p>").format(one.path, "; ".join(one.facts) or "nothing to take"))
            blocks += [inline_jpeg(strip, "frames of a clip, from its beginning to its end") for strip in one.strips]
            if one.notes or one.quarantine:
                rows = [("noted", note) for note in one.notes] + [("set aside", reason) for reason in one.quarantine]
                blocks.append(table(("", ""), rows))
        sections.append(Section(anchor=layout.reader, title=layout.reader, lead=f"{layout.understands}.", blocks=tuple(blocks)))
    left = listed([f"{num} × {suffix}" for suffix, num in sorted(look.unknown.items(), key=lambda item: -item[1])])
    left = left if look.unknown else absent("Nothing: every file belongs to a recording.")
    return [*sections, Section(anchor="left", title="Left alone", lead="Files that no reader knows, by their ending.", blocks=(left,))]


def inline_jpeg(data: bytes, words: str) -> Markup:
    """A picture carried inside the page."""
    return Markup('<figure class="strip"><img alt="{}" src="data:image/jpeg;base64,{}"></figure>').format(words, base64.b64encode(data).decode())
