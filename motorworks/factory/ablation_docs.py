"""What docs/ablations.md shows of a run: `python -m motorworks.factory.ablation_docs` writes a plot for each study and prints its table."""

import argparse
from pathlib import Path

from motorworks.clips.place import whole_file
from motorworks.factory.report.ablations_page import STAGE, markdown, plots
from motorworks.factory.report.records import read_turn

_STYLE = Path(__file__).parent / "report" / "style.css"


def main() -> None:
    """Read the records, write the plots, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--artifacts", type=Path, default=Path("artifacts"))
    parser.add_argument("--docs", type=Path, default=Path("docs"))
    options = parser.parse_args()
    for record in read_turn(options.artifacts, "ablations", 1).records.values():
        if record.stage != STAGE:
            continue
        study = record.name.split("/")[-2]
        found = plots(record)
        if found:
            with whole_file(options.docs / "ablations" / f"{study}.svg") as temporary:
                temporary.write_text(standalone(found[0]))
        print(f"{record.metrics['title']}, {record.fields.get('created', '')}\n\n{markdown(record)}\n")


def standalone(svg: str) -> str:
    """A drawing of the report as a file of its own: with the page's colours, light and dark."""
    style = "".join(line for line in _STYLE.read_text().splitlines() if line.startswith((":root", "@media (prefers", "svg")))
    head, _, rest = str(svg).partition(">")  # Markup would escape what is put in
    head = head.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)
    return f"{head}><style>{style}svg{{font-family:system-ui,sans-serif}}</style>{rest}\n"


if __name__ == "__main__":
    main()
