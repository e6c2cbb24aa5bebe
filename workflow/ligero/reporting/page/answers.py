"""Three answers to what a stranger asks first, generated from the study's own figures."""

from __future__ import annotations

from math import isnan
from statistics import fmean

from ligero.efficiency.truncation import truncate
from ligero.reporting.page.explorer import Measurement
from ligero.reporting.page.records import AnswerEntry, TaskScores
from ligero.reporting.recommendation import Limits, System, ranked
from ligero.reporting.records import Outcome
from ligero.reporting.results import Results
from ligero.settings import plan

BADGES = {
    "own": "Study of your own",
    "miniature": "Miniature: not the thesis’ results",
    "sample": "Sample: small models, parts of the data",
    "thesis": "Thesis scale",
}


def answers(results: Results, scores: list[TaskScores], measured: list[Measurement]) -> list[AnswerEntry]:
    """Is this real, what does distillation gain, which model is best."""
    first = measured[0]
    return [
        {"question": "Is this real or a miniature?", "answer": _reality(results, scores)},
        {"question": "What does distillation gain?", "answer": _gain(results)},
        {"question": "Which model should I take?", "answer": _choice(results, first.systems)},
    ]


def _reality(results: Results, scores: list[TaskScores]) -> str:
    study = results.study
    systems, tasks = len(plan.systems(study)), len(study.tasks)
    extent = f"{systems} system{'s' if systems > 1 else ''} on {tasks} task{'s' if tasks > 1 else ''}"
    found = [score for task in scores for score in task["systems"] if score["score"]]
    unlearned = sum(not score["learned"] for score in found)
    doubt = (
        f" {unlearned} of {len(found)} scores are no better than a baseline without a model, and are marked “not learned”."
        if unlearned
        else ""
    )
    if study.scale == "miniature":
        return (
            f"A miniature: {extent}, all tiny, trained in minutes on generated Spanish. It shows that every stage works; its scores "
            f"say nothing about the published models.{doubt}"
        )
    if study.scale == "sample":
        return (
            f"A sample: {extent}, with real Spanish, but small models and parts of the data. Only the order of the systems can be "
            f"compared with the thesis.{doubt}"
        )
    if study.scale == "thesis":
        return f"Real: the published study at its own scale, {extent}. Open marks are the published scores.{doubt}"
    examples = sum(results.task_info(task)["counts"]["test"] for task in study.tasks)
    return f"Real: a study of your own, {extent}, scored on {examples:,} test examples.{doubt}"


def _gain(results: Results) -> str:
    """From the trade-off against operations: they do not depend on the machine."""
    wanted = None if len(results.study.tasks) > 1 else next(iter(results.study.tasks))
    measured = next(
        found for found in results.tradeoff if found["task"] == wanted and found["axis"] == "macs"
    )
    students = [system for system in measured["systems"] if system["regime"] == "distillation"]
    if not students:
        return "No model was distilled in this study."
    gains = {_name(results, student): student["gain"] for student in students if student["gain"]}
    if not gains:
        return f"It cannot be said: no student costs as much as a fine-tuned system does. {_retention(results, students)}".strip()
    best = max(gains, key=lambda name: gains[name].value)
    worst = min(gains, key=lambda name: gains[name].value)
    better, worse = sum(g.low > 0 for g in gains.values()), sum(g.high < 0 for g in gains.values())
    verdict = f"{better} better, {worse} worse with 95 % confidence"
    lead = "It gains" if better > worse else "It loses here" if worse > better else "No clear gain"
    undefined = len(students) - len(gains)
    elsewhere = (
        f" {undefined} other{'s' if undefined > 1 else ''} {'have' if undefined > 1 else 'has'} no fine-tuned systems around "
        f"{'their' if undefined > 1 else 'its'} cost to be compared with."
        if undefined
        else ""
    )
    if len(gains) == 1:
        found = gains[best]
        return (
            f"{lead}: {best} has {_signed(found.value)} points [{_signed(found.low)}, {_signed(found.high)}] over fine-tuning alone at "
            f"the same cost (operations).{elsewhere}"
        )
    mean = fmean(gain.value for gain in gains.values())
    return (
        f"{lead}: {_signed(mean)} points on average over fine-tuning alone at the same cost (operations), from {_signed(gains[worst].value)} "
        f"({worst}) to {_signed(gains[best].value)} ({best}). Of {len(gains)} students: {verdict}.{elsewhere}"
    )


def _retention(results: Results, students: list[Outcome]) -> str:
    kept = [(student["retention"], student) for student in students if student["retention"]]
    if not kept:
        return ""
    share, student = max(kept, key=lambda found: found[0].value)
    return f"{_name(results, student)} keeps {truncate(share.value)} % of its teacher’s score."


def _choice(results: Results, systems: list[System]) -> str:
    best = ranked(systems, Limits())[0]
    what = "mean score" if len(results.study.tasks) > 1 else "score"
    text = f"{best.label} has the best {what}, {truncate(best.score)}"
    if not isnan(best.low):
        text += f" [{truncate(best.low)}, {truncate(best.high)}]"
    timed = [system for system in systems if system.milliseconds is not None]
    if not timed:
        return f"{text}."
    if best.milliseconds is not None:
        text += f", at {_time(best)}"
    fastest = min(timed, key=lambda system: (system.milliseconds or 0.0, -system.score))
    if fastest == best:
        return f"{text}, and is the fastest too."
    return (
        f"{text}. The fastest is {fastest.label}: {_time(fastest)}, {truncate(fastest.score)}. "
        "The table below answers for each task and time limit."
    )


def _time(system: System) -> str:
    """A measured time with the length of the text that took it."""
    found = system.milliseconds
    assert found is not None
    time = (
        f"{found / 1000:.2f} s" if found >= 1000 else f"{found:.2f} ms" if found < 10 else f"{found:.0f} ms"
    )
    return f"{time} per text{f' of {system.tokens} tokens' if system.tokens else ''}"


def _signed(value: float) -> str:
    """Truncated like all printed figures, with a true minus sign."""
    return f"{truncate(value):+}".replace("-", "−")


def _name(results: Results, outcome: Outcome) -> str:
    return plan.system_name(results.study, outcome["regime"], outcome["model"])
