"""The report page as a file: a template filled with one JSON block, its style and its script. It needs nothing from elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from ligero.common.files import write_text
from ligero.common.records import write_listing
from ligero.efficiency.truncation import truncate
from ligero.reporting.page.records import ChoiceTable, PageData

TEMPLATES = Path(__file__).resolve().parents[4] / "resources" / "page"


def write_page(path: Path, page: PageData) -> None:
    """Write the page, atomically, and the JSON record that lists it."""
    write_text(path, document(page))
    write_listing(path.with_suffix(".json"), [path.name])


def document(page: PageData) -> str:
    """The page as HTML."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters["truncated"] = lambda value: str(truncate(value))
    template = environment.from_string(_read("report.html"))
    return template.render(
        page=page,
        limits=_limits(page["choices"]),
        css=_read("report.css"),
        script=_read("report.js"),
        data=embedded_json(page),
    )


def embedded_json(page: PageData) -> str:
    """The page's data as JSON that no text in it can leave: `<` is escaped, so that `</script>` cannot end the block."""
    text = json.dumps(page, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _limits(choices: ChoiceTable | None) -> list[str]:
    """Heads of the columns of the table of choices."""
    return [*(f"up to {budget:g} ms" for budget in choices["budgets"]), "no limit"] if choices else []


def _read(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")
