"""From files to splits: which examples a split takes, and what leaks from one split to another."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ligero.common.errors import ConfigurationError, DataError, LigeroError, raise_together
from ligero.settings.tasks import Reader, Split, Task
from ligero.tasks.examples import Example, QuestionExample, content_key
from ligero.tasks.readers import READERS, ReaderContext, is_global, read
from ligero.tasks.readers.context import DOUBTFUL, folded, is_numbered


@dataclass
class LoadedSplit:
    """A split's examples, with what they are known by across splits, and what there is to say about them."""

    examples: list[Example] = field(default_factory=list)
    known_as: list[str] = field(default_factory=list)
    """Ids that name the same example in every file; mere numbers with the file's source before them."""
    read: int = 0
    """Examples that the split's files hold, before anything is left out."""
    left_out: int = 0
    """Examples that the reader left out, such as questions without an answer."""
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    """What the reader found that may be a mistake of the files."""


def group_position(group: str) -> float:
    """Where a group lies in [0, 1): a hash of its name, the same on every machine and in every run."""
    return int.from_bytes(hashlib.sha256(group.encode("utf-8", "surrogatepass")).digest()[:7], "big") / 2**56


APART: dict[Reader, str] = {
    "squad": "Give each article a title of its own, or each split its own file.",
    "conll2002": "A blank line ends each sentence, or give each split its own file.",
}
"""What to do about examples that cannot be cut into splits."""


def load_split(
    task: Task, name: str, path_of: Callable[[str], Path], archives: Sequence[Path] = ()
) -> LoadedSplit:
    """Read one split of a task as its settings say.

    Args:
        name: train, validation or test.
        path_of: file of a source id.
        archives: files of the task's `documents`.

    Raises:
        DataError: malformed input, one id twice, or a split that ends up empty.
        CombinedError: everything that is wrong with its files.
    """
    split: Split = getattr(task.splits, name)
    context = _context(task, archives)
    loaded = LoadedSplit()
    several = len(split.sources) > 1
    errors: list[LigeroError] = []
    for source in split.sources:
        try:
            for example in read(task.reader, path_of(source), context):
                _add(loaded, task.reader, source, example, several)
        except LigeroError as error:
            errors.append(error)
            context.problems.clear()
    raise_together(errors)
    files = ", ".join(split.sources)
    first_file = path_of(split.sources[0])
    loaded.left_out = context.left_out
    loaded.read = len(loaded.examples) + context.left_out
    _check_count(first_file, name, split, loaded.read)
    for what, count in sorted(context.notes.items()):
        kept = loaded.warnings if what in DOUBTFUL else loaded.notes
        kept.append(f"{name}: {files}: {count:,} {what}")
    _drop_ids(task, name, split, path_of, loaded)
    groups = len({example.group for example in loaded.examples})
    _take_share(task.reader, name, split, loaded)
    _take_limit(name, split, loaded)
    if not loaded.examples:
        raise DataError(
            first_file,
            None,
            f"the split '{name}' is empty{_why_empty(split, groups, loaded.read)}.",
            APART.get(task.reader, "Give each split its own file.")
            if loaded.read and split.share
            else "Correct its 'share', 'without_ids_of' or file.",
        )
    _refuse_repeated_ids(first_file, loaded)
    return loaded


def _why_empty(split: Split, groups: int, examples: int) -> str:
    """Why a split is empty: there is nothing, or too little to cut, or what belongs together is in few groups."""
    if not examples:
        return ": its files hold no examples"
    if split.share is None:
        return ""
    if 0 < groups < min(examples, 10):
        return f": its {examples:,} examples are of {groups} group{'s' if groups > 1 else ''} (articles, documents, equal texts), which are never cut"
    return f": of the {examples:,} examples of its files none falls into the share {split.share[0]:g} to {split.share[1]:g}"


def _add(loaded: LoadedSplit, reader: Reader, source: str, example: Example, several: bool) -> None:
    """Add an example; what is numbered within its file is named after its source where a split has several files."""
    known_as = example.id if is_global(reader, example.id) else f"{source}/{example.id}"
    if several:
        group = f"{source}/{example.group}" if is_numbered(example.group) else example.group
        example = replace(example, id=known_as, group=group)
    loaded.examples.append(example)
    loaded.known_as.append(known_as)


def _context(task: Task, archives: Sequence[Path]) -> ReaderContext:
    return ReaderContext(
        labels=task.labels,
        columns=task.columns,
        archives=tuple(archives),
        rcv_dir=Path(task.rcv_dir) if task.rcv_dir else None,
        keeps_ranges=task.multiword_ranges == "keep",
        drops_unanswerable=task.unanswerable == "drop",
    )


def _check_count(path: Path, name: str, split: Split, found: int) -> None:
    """Refuse files that do not hold the published number of examples."""
    if split.expected is not None and found != split.expected:
        raise DataError(
            path,
            None,
            f"the split '{name}' ({', '.join(split.sources)}) holds {found:,} examples, expected {split.expected:,} "
            f"(splits.{name}.expected).",
            f"Fetch the published file; if this edition is wanted, write {found} in its place or remove the key.",
        )


def _keep(loaded: LoadedSplit, wanted: Iterable[bool]) -> int:
    """Keep the wanted examples and return how many were dropped."""
    kept = [index for index, is_wanted in enumerate(wanted) if is_wanted]
    dropped = len(loaded.examples) - len(kept)
    loaded.examples = [loaded.examples[index] for index in kept]
    loaded.known_as = [loaded.known_as[index] for index in kept]
    return dropped


def _drop_ids(
    task: Task, name: str, split: Split, path_of: Callable[[str], Path], loaded: LoadedSplit
) -> None:
    if not split.without_ids_of:
        return
    if not READERS[task.reader].has_global_ids:
        raise ConfigurationError(
            f"splits.{name}.without_ids_of: reader '{task.reader}' numbers the examples of each file from the start, so equal ids do not mean the same example. "
            f"Remove the key; it works only with {', '.join(sorted(r for r, found in READERS.items() if found.has_global_ids))}."
        )
    context = _context(task, ())
    forbidden: set[str] = set()
    for source in split.without_ids_of:
        ids = {example.id for example in read(task.reader, path_of(source), context)}
        if not (lasting := {identity for identity in ids if is_global(task.reader, identity)}):
            raise DataError(
                path_of(source),
                None,
                f"its ids are only numbers within the file (such as '{min(ids)}'), so that they cannot tell which examples of "
                f"{', '.join(split.sources)} are the same.",
                f"Give the examples ids of their own, or remove splits.{name}.without_ids_of.",
            )
        forbidden |= lasting
    dropped = _keep(loaded, (known not in forbidden for known in loaded.known_as))
    others = ", ".join(split.without_ids_of)
    loaded.notes.append(f"{name}: {dropped:,} examples left out because {others} has their ids")


def folded_content(example: Example) -> str:
    """The text of an example but for case and white space."""
    return folded(content_key(example))


def _joined(examples: Iterable[Example]) -> list[str]:
    """The group of each example: its own, or that of the first one with the same text, so that repetitions share a split."""
    first: dict[str, str] = {}
    return [first.setdefault(folded_content(example), example.group) for example in examples]


def _take_share(reader: Reader, name: str, split: Split, loaded: LoadedSplit) -> None:
    if split.share is None:
        return
    low, high = split.share
    of = len(loaded.examples)
    grouped = len({example.group for example in loaded.examples}) < of
    groups = [example.group for example in loaded.examples] if grouped else _joined(loaded.examples)
    _keep(loaded, (low <= group_position(group) < high for group in groups))
    unit = READERS[reader].group if grouped else "text"
    loaded.notes.append(
        f"{name}: {len(loaded.examples):,} of {of:,} examples, cut from {', '.join(split.sources)} by {unit} "
        f"(share {low:g} to {high:g}); not the published split"
    )


def _take_limit(name: str, split: Split, loaded: LoadedSplit) -> None:
    if split.limit is not None and split.limit < len(loaded.examples):
        loaded.notes.append(f"{name}: only the first {split.limit:,} of {len(loaded.examples):,} examples")
        _keep(loaded, (index < split.limit for index in range(len(loaded.examples))))


def _refuse_repeated_ids(path: Path, loaded: LoadedSplit) -> None:
    counts = Counter(example.id for example in loaded.examples)
    if repeated := [identity for identity, count in counts.items() if count > 1]:
        others = (
            f", and so do {len(repeated) - 1:,} others ({', '.join(repeated[1:6])})" if repeated[1:] else ""
        )
        raise DataError(
            path, None, f"id '{repeated[0]}' occurs twice in the split{others}.", "Ids must be unique."
        )


def leaks(splits: Mapping[str, LoadedSplit]) -> dict[str, dict[str, int]]:
    """How many examples of the later split are in the earlier one too, for each pair of splits.

    Counted are examples with the same id, with the same text (classification: both texts; tagging: all words;
    question answering: context and question), and, in question answering, with the same context.
    """
    pairs = [("train", "test"), ("train", "validation"), ("validation", "test")]
    return {f"{one}_{other}": _shared(splits[one], splits[other]) for one, other in pairs}


def _shared(one: LoadedSplit, other: LoadedSplit) -> dict[str, int]:
    ids, texts = set(one.known_as), {content_key(example) for example in one.examples}
    counts = {
        "same_id": sum(known in ids for known in other.known_as),
        "same_text": sum(content_key(example) in texts for example in other.examples),
    }
    contexts = {example.context for example in one.examples if isinstance(example, QuestionExample)}
    if contexts:
        counts["same_context"] = sum(
            isinstance(example, QuestionExample) and example.context in contexts for example in other.examples
        )
    return counts
