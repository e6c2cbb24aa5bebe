"""How long lines and documents of each source are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from ligero.common.errors import DataError
from ligero.reporting.figures.style import BLUE, GREEN, GREY, ORANGE, PURPLE, new_panels
from ligero.reporting.results import Results

KINDS = ("lines", "documents")
LOOKS = list(zip(4 * (BLUE, ORANGE, GREEN, PURPLE, GREY), 5 * ("-", "--", ":", "-."), strict=True))
"""Colour and dashes of each source: neighbours differ in both; from the 21st on they repeat."""


def corpus_lengths(results: Results) -> Figure:
    """Share of the lines (left) and of the documents (right) of each source by length in characters, after cleaning.

    Raises:
        DataError: no line was counted.
    """
    statistics = results.corpus
    parts = statistics["parts"] if statistics else {}
    if not any(part["line_length_histogram"] for part in parts.values()):
        raise DataError(
            results.layout.corpus_statistics, None, "it counts no lines.", "Clean the corpus again."
        )
    figure, panels = new_panels(results.study, "Lengths in the cleaned corpus", len(KINDS))
    for axes, kind in zip(panels, KINDS, strict=True):
        for (name, part), (colour, style) in zip(parts.items(), LOOKS * len(parts), strict=False):
            bins = part["line_length_histogram" if kind == "lines" else "document_length_histogram"]
            edges, heights = doublings(bins, kind)
            counts = part["clean"]
            label = f"{name} ({counts['lines']:,} lines, {counts['documents']:,} documents)"
            axes.stairs(heights, edges, color=colour, linestyle=style, linewidth=1.3, label=label)
        axes.set_xscale("log")
        low, high = axes.get_xlim()
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0,) if high > 500 * low else (1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel(f"characters in a {'line (paragraph)' if kind == 'lines' else 'document'}")
    panels[0].set_ylim(bottom=0)
    panels[0].set_ylabel("percent of the source, for each doubling of length")
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2, fontsize=7.5, frameon=False)
    return figure


def doublings(bins: Sequence[Mapping[str, int]], kind: str) -> tuple[list[int], list[float]]:
    """(edges, percent) of a histogram in bins from each power of two to the next; finer bins are put together."""
    if not bins:
        return [1, 2], [0.0]
    first, last = (entry["from"].bit_length() - 1 for entry in (bins[0], bins[-1]))
    total = sum(entry[kind] for entry in bins)
    percent = [0.0] * (last - first + 1)
    for entry in bins:
        percent[entry["from"].bit_length() - 1 - first] += 100 * entry[kind] / total
    return [1 << power for power in range(first, last + 2)], percent
