"""The end of a training run: scores of the test set, the report, and a record of the training."""

import logging

from nmt.config.directions import directions
from nmt.config.schema import settings
from nmt.data.pairs import reversed_examples
from nmt.decoding.translator import Translator
from nmt.files import write_json
from nmt.runs.calibration import calibrate_run
from nmt.runs.latest import finish_latest
from nmt.runs.load import load_translator
from nmt.runs.logger import duration
from nmt.runs.reporting import MainCallbacks
from nmt.runs.scoring import recorded_word_counts, tokenizer_for
from nmt.runs.setup import Setup
from nmt.runs.summary import log_end
from nmt.training.train_state import TrainState

logger = logging.getLogger("nmt")
TEST_HEATMAPS = 8


def finish(setup: Setup, state: TrainState, callbacks: MainCallbacks) -> None:
    """Evaluate the best checkpoint on the test set and write the results to the run folder.

    Args:
        setup: of the run.
        state: at the end of training.
        callbacks: of the main process; the model has its non-EMA weights.
    """
    run, config = setup.run, setup.scored
    logger.info(
        f"trained in {duration(state.seconds)}; translates with the checkpoint of step {state.best_step}"
    )
    non_ema = None
    if config.training.ema:  # all scores so far are for the averaged weights
        non_ema = callbacks.validate(state)
        line = "  ".join(f"{name} {value:.2f}" for name, value in non_ema.items())
        logger.info(f"development scores with the non-EMA weights: {line}")
    record = {
        "steps": state.step,
        "metric": config.training.metric,
        "best_step": state.best_step,
        "seconds": state.seconds,
        "skipped": state.skipped,
        "tokens_per_second": callbacks.logger.speed,
        "validations": state.history,
        "non_ema": non_ema,
    }
    write_json(run.training, record)
    final = _evaluate_best(setup, state)
    callbacks.logger.finished({key: value for key, _, value in settings(config)}, final)
    finish_latest(run.folder)
    log_end(run, [example.source for example in setup.corpus.prepared.splits["test"]])


def _evaluate_reversed(setup: Setup, translator: Translator) -> None:
    """Evaluate on the test set in the other direction, if the model was trained on both."""
    from nmt.evaluation.evaluator import evaluate
    from nmt.export.evaluation_files import write_evaluation

    run, config = setup.run, setup.scored
    for way in directions(config.data)[0]:
        if way.reversed and way.languages:
            to = way.languages[1]
            test = reversed_examples(setup.corpus.prepared.splits["test"])
            tokenizer = tokenizer_for(run, test, to)
            evaluation = evaluate(translator, test, tokenizer, recorded_word_counts(run), to)
            write_evaluation(run.evaluation("test", to), evaluation, test, config.decoding, TEST_HEATMAPS)
            logger.info(f"test in the other direction, to {to}:\n{evaluation.summary()}")


def _evaluate_best(setup: Setup, state: TrainState) -> dict[str, float]:
    """Evaluate on the test set, write the report, calibrate the confidence; returns the scores by name."""
    from nmt.evaluation.evaluator import evaluate
    from nmt.export.evaluation_files import write_evaluation
    from nmt.export.report import save_report

    run, config, prepared = setup.run, setup.scored, setup.corpus.prepared
    test = prepared.splits["test"]
    decoding = config.decoding.without_retrieval()  # there is no datastore yet
    translator = load_translator(run, decoding, setup.precision.device)
    evaluation = evaluate(translator, test, config.training.bleu_tokenizer, recorded_word_counts(run))
    write_evaluation(run.evaluation("test"), evaluation, test, decoding, TEST_HEATMAPS)
    logger.info(f"test, {len(test)} sentences, beam {config.decoding.beam_size}:\n{evaluation.summary()}")
    _evaluate_reversed(setup, translator)
    save_report(run.report, config, evaluation, test, state.history, prepared.report)
    calibrate_run(run, translator, prepared.splits["dev"])
    return evaluation.values()
