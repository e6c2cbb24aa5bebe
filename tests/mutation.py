"""Put faults into the library, one at a time, and see whether the tests that own the code find them.

`make mutate`, or `python -m tests.mutation [FIRST[-LAST] ...]`: each fault replaces one piece of text in a copy of the
working tree and runs the tests named beside it, which should then fail. Ends with an error if a fault survives, if its text is not
found exactly once, or if its tests fail without it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from tests.imports import PROJECT


class Fault(NamedTuple):
    """A piece of a file below workflow/ligero, what is put in its place, and the tests of tests/unit that should notice."""

    file: str
    old: str
    new: str
    tests: tuple[str, ...]


FAULTS = (
    # corpus, tokenizers
    Fault("corpus/exact_duplicates.py", "new[firsts[~known]] = True", "new[firsts] = True", ("test_corpus_pipeline::test_seen_lines_over_many_batches",)),
    Fault("corpus/language.py", "len(line) < wanted.minimum", "len(line) > wanted.minimum", ("test_corpus_filters::test_other_languages_are_dropped_and_short_lines_kept",)),
    Fault("corpus/splitting.py", "(validation if rank", "(training if rank", ("test_corpus_pipeline::test_pipeline_splits_and_counts",)),
    Fault("corpus/near_duplicates.py", " | self._older.contains(bands.ravel())", "", ("test_corpus_filters::test_the_older_half_of_the_memory_is_known_too",)),
    Fault("corpus/sampling.py", "wanted -= len(chosen)", "pass", ("test_tokenizers::test_a_sample_of_several_blocks_is_as_large_as_wanted",)),
    Fault("tokenizers/quality.py", "(lengths == 1) & (unknowns == 0)", "(lengths == 1)", ("test_tokenizers::test_quality_counts_by_hand",)),
    Fault("tokenizers/word_cache.py", "if vocabulary_size < 65_536", "if vocabulary_size < 70_000", ("test_token_store::test_wide_ids_and_empty_lines",)),
    # tasks
    Fault("tasks/squad_answers.py", "(length <= max_answer_length)", "(length < max_answer_length)", ("test_metrics_answers",)),
    Fault("tasks/bootstrap.py", "min(1.0, 2 * one_sided", "min(1.0, one_sided", ("test_metrics::test_the_p_value_counts_both_tails",)),
    Fault("tasks/encoding.py", "set(word_ids[room:]) - set(word_ids[:room])", "set(word_ids[room:])", ("test_encoding",)),
    Fault("tasks/encoding.py", "if word >= 0 else IGNORED", "if word >= 0 else 0", ("test_encoding",)),
    Fault("tasks/bootstrap.py", "np.sum(differences >= 0)) + 1", "np.sum(differences >= 0))", ("test_metrics::test_no_p_value_is_smaller_than_the_resamples_can_show",)),
    Fault("tasks/metrics.py", "list(self.statistics.values()), seed=seed)", "list(self.statistics.values()))", ("test_metrics::test_the_seed_chooses_the_resamples",)),
    Fault("tasks/splits.py", "if grouped else _joined(loaded.examples)", "if grouped else [example.group for example in loaded.examples]", ("test_readers_splits::test_repeated_texts_fall_into_one_share",)),
    # training
    Fault("training/schedules.py", "max(1, total_steps - warmup_steps)", "max(1, total_steps)", ("test_optimizers::test_schedule_rises_and_falls_in_lines",)),
    Fault("training/early_stopping.py", "self.epochs_without_lower_loss > self.patience", "self.epochs_without_lower_loss >= self.patience", ("test_training_trial::test_patience_counts_epochs_without_a_strictly_lower_loss",)),
    Fault("training/losing_weights.py", "if planned is not best and planned.finished():", "if planned is None:", ("test_selection::test_of_a_grid_that_runs_only_the_best_finished_trial_keeps_its_weights",)),
    Fault("training/selection.py", "if record is not best:", "if record is None:", ("test_selection::test_the_model_is_put_at_its_place_and_the_others_are_deleted",)),
    Fault("training/selection.py", '(-score if selection_metric == "score" else loss, record)', "(loss, record)", ("test_selection::test_lowest_loss_or_highest_score_and_the_first_of_equals",)),
    Fault("training/optimizers.py", "parameter.ndim > 1 and", "parameter.ndim > 0 and", ("test_optimizers::test_biases_and_norms_do_not_decay",)),
    Fault("training/evaluate.py", "torch.inference_mode(), autocast(precision, device)", 'torch.inference_mode(), autocast("fp32", device)', ("test_training_batches",)),
    Fault("training/evaluate.py", "    model.eval()\n", "", ("test_training_batches",)),
    Fault("training/batches.py", "default_rng([options.seed, epoch])", "default_rng([options.seed, 0])", ("test_training_batches::test_without_shuffling_every_epoch_has_the_order_of_the_file",)),
    Fault("training/checkpoints.py", "self.steps()[: -self.keep]", "self.steps()[: -self.keep - 1]", ("test_checkpoints",)),
    Fault("training/planned_trials.py", '"metric": task.metric,', "", ("test_training_trial::test_trials_of_another_metric_are_another_group",)),
    Fault("training/steps.py", 'group["base_rate"] * factor', 'group["base_rate"]', ("test_training_steps",)),
    # distillation
    Fault("distillation/losses.py", "/ student.shape[0] * temperature**2", "/ student.shape[0]", ("test_distillation_losses",)),
    Fault("distillation/losses.py", "return alpha * gold + (1.0 - alpha) * distilled", "return (1.0 - alpha) * gold + alpha * distilled", ("test_distillation_losses",)),
    Fault("distillation/alignment.py", 'step = -1 if number == 1 and answers == "boundary" else 1', "step = 1", ("test_alignment::test_of_bytes_of_one_character_the_first_begins_an_answer_and_the_last_ends_it",)),
    Fault("distillation/ensemble.py", "share[entries] += weight", "share[entries] += 1.0", ("test_distillation::test_several_teachers_are_averaged_by_weight_over_those_that_have_the_word",)),
    Fault("distillation/ensemble.py", "known[:, :, 0].max(axis=0)", "known[:, :, 0].min(axis=0)", ("test_distillation::test_a_students_softmax_runs_over_what_every_teachers_window_covers",)),
    Fault("distillation/cached_objectives.py", "same_vocabulary, learning.answer_alignment)", 'same_vocabulary, "first_subword")', ("test_distillation::test_answers_of_another_vocabulary_are_aligned_as_the_student_learns",)),
    Fault("distillation/cached_objectives.py", "learning.relations, learning.relation_weight)", "learning.relations)", ("test_distillation_relations::test_relations_weigh_what_the_settings_say",)),
    Fault("distillation/cached_objectives.py", '[cache_digest(meta["depends_on"]), weight]', '[cache_digest(meta["depends_on"])]', ("test_logit_cache::test_trials_with_other_weights_of_their_teachers_are_other_trials",)),
    Fault("distillation/teacher_logits.py", "TrainingOptions(max_words=job.max_words)", "TrainingOptions()", ("test_logit_cache::test_a_teacher_reads_the_students_words_and_its_precision_counts",)),
    Fault("distillation/search.py", "epoch < longest and trial.should_prune()", "trial.should_prune()", ("test_distillation_search::test_a_trial_in_its_last_epoch_is_not_pruned",)),
    Fault("models/students.py", "index * teacher_layers // student_layers for", "(index + 1) * teacher_layers // student_layers - 1 for", ("test_initial_layers::test_the_kept_layers_of_six",)),
    # pretraining
    Fault("pretraining/masking.py", "fate < 0.8, vocabulary.mask", "fate < 0.9, vocabulary.mask", ("test_pretraining_batches::test_masking_follows_the_recipe",)),
    Fault("pretraining/batches.py", "copies, keys = epochs, samples", "copies, keys = epochs, windows", ("test_pretraining_batches::test_static_masks_repeat_and_dynamic_ones_do_not",)),
    Fault("corpus/token_store.py", "dtype = np.dtype(info.dtype)", 'dtype = np.dtype(info.dtype.replace("u", "i"))', ("test_pretraining_batches::test_ids_above_half_of_two_bytes_are_read_as_they_were_written",)),
    Fault("pretraining/sequences.py", "in_order = swapped == 0", "in_order = swapped == 1", ("test_pretraining_batches::test_rows_are_segments_of_the_text_in_order_or_swapped",)),
    Fault("pretraining/sequences.py", " & (document != line)", "", ("test_pretraining_batches::test_how_segments_begin_and_end_does_not_tell_their_order",)),
    Fault("pretraining/divergence.py", "self.mean / self.weight", "self.mean", ("test_pretraining::test_a_loss_that_stays_as_it_was_is_no_divergence",)),
    # export
    Fault("export/exits.py", 'verdict["drop_interval"][1]) >', 'verdict["drop"]) >', ("test_early_exit::test_exits_that_may_lose_too_much_are_not_offered",)),
    Fault("export/parity.py", "TOLERANCE = 1e-4", "TOLERANCE = 1e-2", ("test_export::test_logits_may_differ_by_rounding_and_no_more",)),
    # efficiency, reporting
    Fault("efficiency/truncation.py", "rounding=ROUND_DOWN", "rounding=ROUND_HALF_EVEN", ("test_efficiency::test_figures_are_truncated_without_binary_noise",)),
    Fault("models/formulas.py", "return 2 * shape.num_hidden_layers", "return shape.num_hidden_layers", ("test_efficiency::test_attention_takes_two_products_in_each_layer",)),
    Fault("efficiency/outliers.py", "abs(score) <= threshold", "score <= threshold", ("test_efficiency::test_modified_z_scores_of_a_worked_example",)),
    Fault("reporting/published.py", "metric: erratum.corrected for", "metric: figures[metric] for", ("test_thesis_numbers::test_the_seventeen_published_scores_follow_from_the_published_tables",)),
    Fault("reporting/tables/ablation.py", '"yes" if test.difference > 0 else "no"', '"yes"', ("test_ablation::test_the_table_says_whether_a_method_harmed",)),
    Fault("reporting/tradeoff.py", "share * taught[1:]", "share * taught[0]", ("test_reporting_tradeoff::test_in_each_resample_a_system_is_held_against_its_teacher_there",)),
    Fault("reporting/estimate.py", 'counts["validation"]) + counts["test"])', 'counts["test"]) + counts["validation"])', ("test_plan::test_the_test_split_is_read_once_by_every_system",)),
    Fault("reporting/estimate.py", 'found.jobs["done"] == sum(found.jobs.values())', 'found.jobs["done"] > 0', ("test_plan::test_a_study_measured_elsewhere_gives_the_rate",)),
    Fault("reporting/tables/comparison.py", "{Decimal(measured.removesuffix('x')) - Decimal(published.removesuffix('x')):+}", "{Decimal(published.removesuffix('x')) - Decimal(measured.removesuffix('x')):+}", ("test_reporting_summary::test_rows_of_the_comparison_are_measured_minus_published",)),
    Fault("reporting/tables/cost.py", "sum(run.seconds * run.devices for run in runs)", "sum(run.seconds for run in runs)", ("test_reporting_cost::test_rows_are_runs_on_one_kind_of_device",)),
    # settings
    Fault("settings/plan.py", "return task.distillation_grid.applied_to(of_student)", "return of_student", ("test_settings::test_grids_of_one_task_are_applied_last",)),
    Fault("settings/jobs/training.py", "options_for(model, stage.options)", "stage.options", ("test_digests",)),
)  # fmt: skip


def working_tree(folder: Path) -> None:
    """Copy the files that git knows, as they are now."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (PROJECT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, folder / name)


def passes(folder: Path, tests: Iterable[str]) -> bool:
    """Whether these tests, FILE or FILE::TEST, pass in the copy.

    Raises:
        SystemExit: pytest could not run them.
    """
    files = [
        f"tests/unit/{name.replace('::', '.py::')}" if "::" in name else f"tests/unit/{name}.py"
        for name in tests
    ]
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-m", "not slow", *files]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode not in (0, 1, 2):  # passed, failed, or could not be imported
        sys.exit(done.stdout + done.stderr)
    return done.returncode == 0


def chosen(texts: list[str]) -> list[int]:
    """Numbers from 1,, of arguments such as 3 and 5-9; all of them without arguments."""
    numbers: list[int] = []
    for text in texts or [f"1-{len(FAULTS)}"]:
        first, _, last = text.partition("-")
        numbers += range(int(first), int(last or first) + 1)
    return numbers


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("faults", nargs="*", metavar="FIRST[-LAST]", help="numbers of faults; all by default")
    wanted = chosen(parser.parse_args().faults)
    bad = 0
    sound: dict[tuple[str, ...], bool] = {}
    with tempfile.TemporaryDirectory(prefix="mutation-") as name:
        folder = Path(name)
        working_tree(folder)
        for number in wanted:
            fault, begun = FAULTS[number - 1], time.monotonic()
            path = folder / "workflow" / "ligero" / fault.file
            text = path.read_text(encoding="utf-8") if path.is_file() else ""
            if (count := text.count(fault.old)) != 1:
                outcome = f"NOT APPLIED: found {count} times, expected once"
            elif not sound.setdefault(
                fault.tests, passes(folder, fault.tests) if fault.tests not in sound else True
            ):
                outcome = "NOT APPLIED: the tests fail without it"
            else:
                path.write_text(text.replace(fault.old, fault.new), encoding="utf-8")
                outcome = "SURVIVED" if passes(folder, fault.tests) else "killed"
                path.write_text(text, encoding="utf-8")
            bad += outcome != "killed"
            seconds = time.monotonic() - begun
            print(
                f"{number:2} {outcome}: {fault.file}: {fault.old} -> {fault.new} ({seconds:.0f} s)",
                flush=True,
            )
    print(f"{len(wanted) - bad} of {len(wanted)} faults were found")
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
