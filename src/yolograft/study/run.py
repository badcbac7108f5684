"""Runs a study from its manifest: seed by seed, arms in lockstep; a second call goes on where it stopped.

With several looks, what is stored is judged after each; arms whose verdict fell take no further seed. The
decision is a function of the manifest and the stored runs, so a resumed study takes the same one.
"""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from yolograft.data.eval_stream import EvalStream
from yolograft.data.records import Dataset, ImageRecord
from yolograft.data.source import open_dataset
from yolograft.engine.arm import DONE, Arm, ArmRun
from yolograft.engine.batches import recipe_stream
from yolograft.engine.checkpoint import write_json
from yolograft.engine.device import environment
from yolograft.engine.evaluate import evaluate
from yolograft.engine.modelfolder import BEST, LAST, store_best, store_model
from yolograft.engine.recipe import Recipe
from yolograft.engine.recorder import open_recorders
from yolograft.engine.runfolder import arm_folder, sole_writer
from yolograft.engine.train import Progress, Settings, train
from yolograft.errors import StudyError
from yolograft.graph.spec import ModelSpec
from yolograft.metrics.coco import evaluate_coco
from yolograft.metrics.cost import peak_memory_mb
from yolograft.models.codebook import Codebook, code_of
from yolograft.models.detector import Detector
from yolograft.study.cost import measure_costs
from yolograft.study.judging import judge_study
from yolograft.study.pace import Pace
from yolograft.study.planning.branching import trunk_folder, trunk_label
from yolograft.study.planning.controls import IDENTITY
from yolograft.study.planning.facts import widest_stride
from yolograft.study.planning.manifest import read_manifest
from yolograft.study.records.sound import SCORES
from yolograft.study.records.studyrecord import COST, keep_record, read_study
from yolograft.study.report.samples import gallery
from yolograft.study.results import collect, points
from yolograft.study.scores import score_run
from yolograft.study.sequence import Look, going_on, looks_of
from yolograft.study.start import start_apart, start_arms, started_from
from yolograft.study.teacher import teacher_of, with_lessons

CHECKPOINTS = "checkpoints"
BITWISE = ("torch", "instruction_set", "threads", "device", "precision")


@dataclass(frozen=True)
class Execution:
    """How this call runs the study, apart from what the study is.

    settings: device and checkpoints. workers: loader processes. cache: ``ram``, ``disk`` or ``none``.
    loggers: where the numbers go while training. lang: of the report.
    """

    settings: Settings
    workers: int = 0
    cache: str = "ram"
    loggers: tuple[str, ...] = ()
    lang: str = "en"


@dataclass(frozen=True)
class Bench:
    """All that the seeds of one study share.

    measure: widest stride of an arm -> the evaluation split,
    letterboxed as `eval` would for such a detector alone. trunk: what arms branch from.
    """

    run: Path
    manifest: Mapping[str, Any]
    recipe: Recipe
    dataset: Dataset
    measure: Mapping[int, EvalStream]
    execution: Execution
    progress: Pace
    trunk: Arm | None = None


def run_study(run: Path, *, code: Codebook, execution: Execution, progress: Progress) -> dict[str, Any]:
    """Train what is missing, measure it, and write ``results.json`` and ``report.html``.

    Returns:
        the results.

    Raises:
        StudyError: the data (YG604), the starting weights (YG606) or the teacher (YG449) are not those of the
            manifest.
        Interrupted: a signal; run it again to go on.
    """
    manifest = read_manifest(run)
    recipe = Recipe.model_validate(manifest["recipe"])
    with sole_writer(run):
        dataset = _open_data(manifest)
        execution = _as_planned(manifest, execution, progress)
        held_out = dataset.split(manifest["data"]["eval"]["split"])
        measure = _measures(held_out, manifest, recipe, execution.cache)
        pace = Pace(progress, arms=len(manifest["arms"]))
        arms = start_arms([_arm(item, code) for item in manifest["arms"]], manifest, recipe, progress)
        arms = with_lessons(arms, manifest["arms"], teacher_of(manifest, code))
        trunk = next((arm for arm in arms if arm.label == trunk_label(manifest)), None)
        bench = Bench(run, manifest, recipe, dataset, measure, execution, pace, trunk)
        return _look_by_look(bench, arms)


def _measures(
    records: Sequence[ImageRecord], manifest: Mapping[str, Any], recipe: Recipe, cache: str
) -> dict[int, EvalStream]:
    """The evaluation split for every widest stride among the arms; one cache serves them all."""
    made: dict[int, EvalStream] = {}
    for stride in sorted({widest_stride((item,)) for item in manifest["arms"]}):
        store = next((stream.store for stream in made.values()), None)
        made[stride] = EvalStream(
            records, imgsz=recipe.imgsz, batch=recipe.batch, stride=stride, cache=cache, store=store
        )
    return made


def _look_by_look(bench: Bench, arms: Sequence[Arm]) -> dict[str, Any]:
    """Train up to each planned look and judge there; what has its verdict stops. The results."""
    seeds, lang = bench.manifest["seeds"], bench.execution.lang
    going = frozenset(arm.label for arm in arms)
    done = 0
    for look in looks_of(bench.manifest):
        for index, seed in enumerate(seeds[done : look.seeds], start=done):
            bench.progress.seeds_left(len(seeds) - index)
            if _run_seed(bench, [arm for arm in arms if arm.label in going], seed):
                publish(bench.run, bench.dataset, lang=lang)
        done, going = look.seeds, going & _going_on(bench, look)
        if not going:
            break
        bench.progress.note(f"look at {done} seeds: {', '.join(sorted(going))} go on")
    return publish(bench.run, bench.dataset, lang=lang)


def _going_on(bench: Bench, look: Look) -> frozenset[str]:
    """Who trains on after a look, judged from the runs up to it, whatever else the folder holds by now."""
    if look.last:
        return frozenset()
    study = read_study(bench.run)
    seen = set(bench.manifest["seeds"][: look.seeds])
    judged = judge_study(replace(study, runs={key: r for key, r in study.runs.items() if key[1] in seen}))
    if judged.unsound:
        bench.progress.note(f"no further seed is trained, no verdict can fall: {judged.unsound}")
        return frozenset()
    return going_on(bench.manifest, judged.comparisons, look)


def publish(run: Path, dataset: Dataset | None, *, lang: str = "en") -> dict[str, Any]:
    """Write ``results.json``, ``report.html`` and what a paper takes from what the run folder holds."""
    from yolograft.study.paper.folder import write_paper
    from yolograft.study.paper.tables import FOLDER
    from yolograft.study.report.page import write_report

    results = collect(run)
    write_json(run / "results.json", results)
    samples = gallery(run, results, dataset) if dataset is not None else ()
    write_report(results, run / "report.html", samples=samples, lang=lang)
    write_paper(results, run / FOLDER)
    return results


def _arm(item: Mapping[str, Any], code: Codebook) -> Arm:
    spec = ModelSpec.from_json(item["spec"])
    return Arm(item["label"], spec, code_of(spec, code))


def _open_data(manifest: Mapping[str, Any]) -> Dataset:
    dataset = open_dataset(manifest["data"]["path"])
    for part in ("train", "eval"):
        facts = manifest["data"][part]
        if dataset.fingerprint(facts["split"]) != facts["fingerprint"]:
            raise StudyError(
                "YG604",
                f"split '{facts['split']}' has changed since the study was planned",
                where=manifest["data"]["path"],
                fix="start a new study",
            )
    return dataset


def _as_planned(manifest: Mapping[str, Any], execution: Execution, progress: Progress) -> Execution:
    """The execution in the study's own precision; says what else differs from where it began."""
    precision = manifest["environment"]["precision"]
    here = environment(execution.settings.device, precision)
    for key in BITWISE:
        if here[key] != manifest["environment"][key]:
            progress.note(f"not bitwise: {key} was {manifest['environment'][key]}, here it is {here[key]}")
    return replace(execution, settings=replace(execution.settings, precision=precision))


def _run_seed(bench: Bench, arms: Sequence[Arm], seed: int) -> bool:
    """Train what a seed still lacks; whether there was anything."""
    recipe, dataset, measure = bench.recipe, bench.dataset, bench.measure
    places = {arm.label: arm_folder(bench.run, arm.label, seed) for arm in arms}
    missing = [arm for arm in arms if not (places[arm.label] / SCORES).exists()]
    for label, place in places.items():
        if (place / SCORES).exists():
            _drop_checkpoints(place)
            _keep(bench, label, seed)
    if not missing:
        _drop_trunk(bench, seed)
        return False
    again = {item["label"] for item in bench.manifest["arms"] if item.get("control") == IDENTITY}
    missing = [start_apart(arm, seed) if arm.label in again else arm for arm in missing]
    execution = bench.execution
    stream = recipe_stream(
        dataset.split("train"), recipe, seed=seed, workers=execution.workers, cache=execution.cache
    )

    def curve(detector: Detector) -> dict[str, float]:
        own = measure[detector.stride]
        scores = evaluate_coco(own.records, evaluate(detector, own, fingerprint=""), dataset.names)
        return {"ap": points(scores.ap) or 0.0, "ap50": points(scores.ap50) or 0.0}

    if stream.store.note:
        bench.progress.note(stream.store.note)
    folders = [places[arm.label] for arm in missing]
    bench.progress.note(f"seed {seed}: {', '.join(arm.label for arm in missing)}")
    recorders = open_recorders(bench.execution.loggers, bench.run)
    call = functools.partial(
        train,
        stream=stream,
        recipe=recipe,
        seed=seed,
        settings=bench.execution.settings,
        progress=bench.progress,
        curve=curve,
        recorders=recorders,
    )
    try:
        finished = _train(bench, missing, [folder / CHECKPOINTS for folder in folders], call, seed)
    finally:
        for recorder in recorders:
            recorder.close()
    _keep_costs(finished, folders, recipe)
    for trained, folder in zip(finished, folders, strict=True):
        _finish(bench, trained, folder)
    _drop_trunk(bench, seed)
    return True


def _train(
    bench: Bench, arms: Sequence[Arm], folders: Sequence[Path], call: Callable[..., list[ArmRun]], seed: int
) -> list[ArmRun]:
    """All arms side by side; where they branch, from the trunk, which is trained first."""
    epoch = bench.manifest["branch_at"]
    if epoch is None or bench.trunk is None:
        return call(arms, folders=folders)
    trunk = trunk_folder(bench.run, seed)
    # Nothing is left to do where the trunk stands already; one that diverged has branches that did.
    call([bench.trunk], folders=[trunk], until=epoch)
    return call(arms, folders=folders, trunk=trunk)


def _keep_costs(finished: Sequence[ArmRun], folders: Sequence[Path], recipe: Recipe) -> None:
    """Measure what arms cost that no seed has measured yet, before the first counts as finished.

    Those that end together are timed in turn: all of them, unless one diverged under the first seed.
    """
    places = [folder.parent / COST for folder in folders]
    pairs = zip(finished, places, strict=True)
    new = [(one, place) for one, place in pairs if one.status == DONE and not place.exists()]
    for (_, place), cost in zip(new, measure_costs([one for one, _ in new], recipe), strict=True):
        write_json(place, cost)


def _finish(bench: Bench, trained: ArmRun, folder: Path) -> None:
    """Store the model and its tables, then the scores: these say that the run is finished.

    The training checkpoints are no longer needed then.
    """
    recipe, measure, state = bench.recipe, bench.measure[trained.shadow.stride], trained.state()
    keys = ("seed", "steps", "status", "reason", "seconds", "shared_seconds", "history")
    scores = {key: state[key] for key in keys}
    here = environment(bench.execution.settings.device, bench.manifest["environment"]["precision"])
    scores["environment"] = {key: here[key] for key in BITWISE}
    scores["best"] = trained.best.to_json()
    scores["process_peak_mb"] = peak_memory_mb(trained.fabric.device)
    scores["images_per_second"] = trained.steps * recipe.batch / max(trained.seconds, 1e-9)
    if trained.status == DONE:
        about = {
            "imgsz": list(recipe.imgsz),
            "names": list(bench.dataset.names),
            "seed": trained.seed,
            "recipe": recipe.to_json(),
            "recipe_sha256": recipe.digest(),
            "data": {part: bench.manifest["data"][part]["fingerprint"] for part in ("train", "eval")},
            "started_from": started_from(bench.manifest),
            "taught_by": bench.manifest["teacher"] if trained.arm.distill else None,
        }
        store_model(folder / LAST, trained.arm, dict(trained.shadow.state_dict()), about)
        split = bench.manifest["data"]["eval"]["split"]
        store_best(folder / BEST, trained.arm, trained.best, about, split=split, last=folder / LAST)
        fingerprint = bench.manifest["data"]["eval"]["fingerprint"]
        table = evaluate(trained.shadow, measure, fingerprint=fingerprint)
        scores |= score_run(folder, measure.records, table, bench.dataset.names)
    write_json(folder / SCORES, scores)
    _drop_checkpoints(folder)
    _keep(bench, trained.arm.label, trained.seed)


def _keep(bench: Bench, label: str, seed: int) -> None:
    """Keep the record of a finished run, from which a verdict can be given anywhere."""
    keep_record(bench.run, bench.manifest, label, seed)


def _drop_trunk(bench: Bench, seed: int) -> None:
    """Remove the half-trained baseline that all arms of a seed have branched from."""
    shutil.rmtree(trunk_folder(bench.run, seed), ignore_errors=True)


def _drop_checkpoints(folder: Path) -> None:
    """Remove the training checkpoints of a finished run; a run killed between two lines leaves some."""
    shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
