"""What is attacked: each target makes one try from a generator, and lets out nothing but the errors that users are told."""

import contextlib
import decimal
import io
import json
import os
import shutil
import zlib

import gymnasium as gym
import numpy as np
from gymnasium import spaces

import reverie as rv
from fuzz.mutate import NUMBERS, ODD, TEXTS, damaged, damaged_json, pick
from reverie import cli
from reverie.cli import run_report, run_watch
from reverie.collecting.messages import (
    Chunk,
    Request,
    failed_of,
    frame,
    read_frame,
    ready_of,
    setup_of,
    step_dtype,
)
from reverie.core.errors import ReverieError
from reverie.environments.env_adapter import EnvAdapter
from reverie.experiments.analysis import paper_report, sweep_report
from reverie.experiments.execution import sweep_worker, worker
from reverie.experiments.execution.results_store import ResultsStore, RunResult
from reverie.experiments.execution.sweep_store import SweepStore
from reverie.experiments.spec.declaration import RunSpec, Variant
from reverie.experiments.spec.sweep_grid import SweepCell
from reverie.export.experience_file import array_bytes, csv_bytes
from reverie.logs import stored
from reverie.logs.checks import check
from reverie.logs.experience_arrays import experience_of
from reverie.logs.log import Log
from reverie.logs.stored import learnable
from reverie.report.page import html_of
from reverie.storage import checkpoint, episodes, journal, journal_sample, table_sample, tables
from reverie.storage.run import RunDirectory
from reverie.training import agent_config, evaluation, provenance
from reverie.training.checkpoint_facts import Facts


class Fixtures:
    """Real files, written once: a run, a folder of results, a cell."""

    def __init__(self, folder):
        self.folder, self.run, self.out = folder, folder / "run", folder / "out"
        agent = rv.NAF(hidden=(4,), batch_size=4, warmup_steps=0, updates_per_step=1)
        with rv.Learner(agent, "worlds:LinearWorld", out=self.run) as learner:
            learner.learn(43)
            learner.evaluate(2)
        self.spec, self.from_log = rv.EnvSpec(2, [-1.0], [1.0]), folder / "from-log"
        (folder / "log.csv").write_bytes(csv_bytes(*experience_of(RunDirectory(self.run))))
        (folder / "log.npz").write_bytes(array_bytes(*experience_of(RunDirectory(self.run))))
        names = (folder / "log.csv").read_text().replace("next observation", "later observation")
        (folder / "bare.csv").write_text(names)
        rv.Learner(agent, spec=self.spec, out=self.from_log, experience=folder / "log.csv").close()
        results = ResultsStore(self.out)
        results.open()
        results.declare("1.0", {"reacher/naf": {"episodes": 20}, "reacher/ddpg": {"episodes": 20}}, "reverie reproduce")
        for name in ("naf", "ddpg"):
            for seed in (0, 1):
                rows = [dict.fromkeys(worker.COLUMNS, 0.5) | {"episode": e, "step": 5 * e} for e in (10, 20)]
                results.add(("reacher", name, seed), RunResult(rows, film=b"mp4", software="s", machine="m"))
        results.close()
        worker.write(
            RunSpec("reacher", Variant("naf", "NAF", settings={"hidden": (4,)}), 0, 20, 10, 5), folder / "cell"
        )
        self.swept = folder / "swept"
        store, ended = SweepStore(self.swept), sweep_worker.Ended("done", 40, 2, -1.5, -1.0, 0.5)
        own, command = agent_config.written(agent), ["reverie", "train", "naf", "worlds:LinearWorld"]
        cells = [
            SweepCell(own, "worlds:LinearWorld", {"discount": d}, 0, 40, 20, 1, None, False, command)
            for d in ("0.9", "0.8")
        ]
        store.open()
        store.declare("sweep", "1.0", {"agent": "naf", "evaluate_every": 20}, "reverie sweep", cells)
        for cell in cells:
            sweep_worker.write(cell, store.runs("sweep") / cell.folder_name)
            store.add(cell, sweep_worker.SweepResult(ended))
        store.close()
        sweep_worker.write(cells[0], self.swept)
        self.work = folder / "work"

    def fresh(self, path):
        """Return a copy of a run or a folder that may be damaged."""
        shutil.rmtree(self.work, ignore_errors=True)
        shutil.copytree(path, self.work, ignore=shutil.ignore_patterns(".lock"))
        return self.work


def table(generator, fixtures):
    """Read a damaged table."""
    name, columns, more = pick(
        generator,
        [
            ("episodes", episodes.COLUMNS, None),
            ("evaluations", evaluation.COLUMNS, None),
            ("metrics", {"step": tables.whole}, tables.figure),
        ],
    )
    path = fixtures.folder / "t.csv"
    path.write_bytes(damaged(generator, (fixtures.run / f"{name}.csv").read_bytes()))
    tables.read_table(path, columns, more)
    table_sample.sample_at(path, columns, more, most=int(generator.integers(1, 5)))


def journal_file(generator, fixtures):
    """Read a journal with another first line, or records with other values and the right checksums."""
    path, data = fixtures.folder / "journal.bin", (fixtures.run / "experience" / "journal.bin").read_bytes()
    line, _, body = data.partition(b"\n")
    kind = int(generator.integers(3))
    if kind == 0:
        line = damaged_json(generator, json.loads(line)).encode()
    elif kind == 1:
        sizes = journal.read_header(fixtures.run / "experience" / "journal.bin")
        records = np.frombuffer(body, journal.record_dtype(*sizes[:3], sizes.version)).copy()
        i, field = int(generator.integers(len(records))), pick(generator, records.dtype.names[:-1])
        whole = records.dtype[field].base.kind == "u"
        records[i][field] = pick(generator, [0, 1, 3, 9, 2**31] if whole else [0, 1, 3, np.nan, -np.inf, 1e30])
        records[i]["crc"] = zlib.crc32(records[i].tobytes()[:-4])
        body = records.tobytes()
    path.write_bytes(line + b"\n" + body if kind < 2 else damaged(generator, data))
    for read in (journal.read_header, journal.read, journal_sample.spread, lambda path: journal_sample.newest(path, 3)):
        with contextlib.suppress(ReverieError):
            read(path)


def checkpoint_file(generator, fixtures):
    """Read a checkpoint with damaged bytes, or with other facts and the right checksum."""
    source, path = fixtures.run / "checkpoint" / "latest.safetensors", fixtures.folder / "latest.safetensors"
    arrays, facts = checkpoint.read(source)
    if generator.random() < 0.5:
        text = damaged_json(generator, facts)
        header = {"format": checkpoint.FORMAT, "facts": text, "crc": str(checkpoint._checksum(text, arrays))}
        path.write_bytes(checkpoint.safetensors.numpy.save(dict(arrays), header))
    else:
        path.write_bytes(damaged(generator, source.read_bytes()))
    checkpoint.load(path, {}, free="", kind=Facts)


def config(generator, fixtures):
    """Read a damaged config.json, and what it says of agent and world."""
    run = RunDirectory(fixtures.fresh(fixtures.run))
    text = run.config_file.read_bytes()
    whole = generator.random() < 0.7
    run.config_file.write_bytes(
        damaged_json(generator, json.loads(text)).encode() if whole else damaged(generator, text)
    )
    read = run.read_config()
    provenance.spec_of(read, run)
    if ":" not in read.agent.name:  # else it would import what the damage names
        provenance.algorithm_of(read, run)


def call(generator, fixtures):
    """Read a damaged call.json."""
    run = RunDirectory(fixtures.fresh(fixtures.run))
    facts = {"start": 3, "steps": 10}
    text = damaged_json(generator, facts).encode()
    run.call_file.write_bytes(text if generator.random() < 0.7 else damaged(generator, json.dumps(facts).encode()))
    run.read_call()


def log_file(generator, fixtures):
    """Read a damaged log, check it, and take from it what can be learnt from."""
    name = pick(generator, ["log.csv", "log.npz", "bare.csv"])
    path, data = fixtures.folder / f"damaged-{name}", (fixtures.folder / name).read_bytes()
    path.write_bytes(damaged(generator, data))
    spec = pick(generator, [None, fixtures.spec])
    data = Log(path, {"reward": pick(generator, ["reward", pick(generator, TEXTS)])}).read(spec)
    findings, _ = check(data, spec)
    if spec is not None and all(finding.verdict != "wrong" for finding in findings):
        learnable(data, spec).rows(spec)


def kept_log(generator, fixtures):
    """Read a run's copy of logged transitions with damaged bytes, or with other arrays and the right checksum."""
    run = RunDirectory(fixtures.fresh(fixtures.from_log))
    data = run.logged_file.read_bytes()
    if generator.random() < 0.5:
        arrays, facts = checkpoint.read(run.logged_file)
        name = pick(generator, sorted(arrays))
        changed = pick(
            generator, [arrays[name][:-1], arrays[name] * np.nan, arrays[name].astype("<i2"), arrays[name][None]]
        )
        text = damaged_json(generator, facts) if generator.random() < 0.5 else json.dumps(facts)
        header = {
            "format": checkpoint.FORMAT,
            "facts": text,
            "crc": str(checkpoint._checksum(text, arrays | {name: changed})),
        }
        data = checkpoint.safetensors.numpy.save(arrays | {name: np.ascontiguousarray(changed)}, header)
    else:
        data = damaged(generator, data)
    run.logged_file.write_bytes(data)
    stored.read(run, zlib.crc32(data), fixtures.spec).rows(fixtures.spec)


def results(generator, fixtures):
    """Read a damaged folder of results, and say what it says."""
    path = fixtures.fresh(fixtures.out)
    file = path / pick(generator, ["settings.json", "cells.csv", "scores.csv"])
    text = file.read_bytes()
    whole = file.suffix == ".json" and generator.random() < 0.7
    file.write_bytes(damaged_json(generator, json.loads(text)).encode() if whole else damaged(generator, text))
    paper_report.sections_of([ResultsStore(path)])


def report(generator, fixtures):
    """Say what a damaged run says."""
    path = fixtures.fresh(fixtures.run)
    tables_of_run = ["episodes.csv", "evaluations.csv", "metrics.csv", "events.csv"]
    file = path / pick(generator, ["config.json", *tables_of_run, "experience/journal.bin"])
    file.write_bytes(damaged(generator, file.read_bytes()))
    html_of(run_watch.document_of([path]), live=True)
    html_of(run_report.document_of_runs([path]))


def cell_file(generator, fixtures):
    """Read a damaged cell.json, and make its agent."""
    path = fixtures.fresh(fixtures.folder / "cell")
    text = (path / "cell.json").read_bytes()
    whole = generator.random() < 0.7
    (path / "cell.json").write_bytes(
        damaged_json(generator, json.loads(text)).encode() if whole else damaged(generator, text)
    )
    found = worker.read(path)
    worker.agent_of(found.variant, found.domain, found.length)


def sweep(generator, fixtures):
    """Read a damaged folder of a sweep and say what it says, or a damaged cell of one."""
    path = fixtures.fresh(fixtures.swept)
    file = path / pick(generator, ["sweep.json", "cells.csv", "cell.json"])
    text = file.read_bytes()
    whole = file.suffix == ".json" and generator.random() < 0.7
    file.write_bytes(damaged_json(generator, json.loads(text)).encode() if whole else damaged(generator, text))
    store = SweepStore(path)
    sweep_report.sections_of([store])
    sweep_report.lines(store)
    found = sweep_worker.read(path)
    assert found.folder_name and "/" not in found.folder_name


class Puppet(gym.Env):
    """Returns what it is given."""

    def __init__(self, space, result):
        self.observation_space, self.result = space, result
        self.action_space = spaces.Box(-1, 1, (1,), np.float32)

    def step(self, action):
        return self.result


SPACES = [
    spaces.Box(-1, 1, (2,)),
    spaces.Discrete(7),
    spaces.Dict({"a": spaces.Discrete(3), "b": spaces.Box(-1, 1, (2,))}),
]
SPACES += [spaces.Tuple([spaces.Discrete(2), spaces.MultiBinary(2)]), spaces.MultiDiscrete([2, 3]), spaces.Text(3)]
VALUES = [
    *ODD,
    1j,
    b"1",
    decimal.Decimal("nan"),
    np.ma.masked,
    np.array([True, False]),
    np.array(["1"]),
    np.zeros(2),
    object(),
]
VALUES += [
    np.array([1j, 0]),
    np.array([None, 1]),
    {"a": 1, "b": [0, 7j]},
    (1, 2),
    np.datetime64("NaT"),
    {1},
    range(2),
    [1, [2]],
]


def world(generator, fixtures):
    """Take a step of a world that returns anything."""
    space = pick(generator, SPACES)
    result = [space.sample(), 0.5, False, False, {}]
    for _ in range(int(generator.integers(1, 3))):
        result[int(generator.integers(5))] = pick(generator, VALUES)
    if generator.random() < 0.1:
        result = pick(generator, [result[:4], [*result, 1], None, *VALUES])
    flat = EnvAdapter(Puppet(space, result), "Puppet").step(np.zeros(1), 1)
    assert type(flat[0]) is float and np.isfinite(flat[1]).all() and type(flat[2]) is type(flat[3]) is bool


def messages(generator, fixtures):
    """Read what a damaged collector, or a damaged learner, sends."""
    dtype = step_dtype(2, 1)
    spec = {"observation_dim": 2, "action_low": [-1.0], "action_high": [1.0]}
    ready = {"protocol": 1, "reverie": "1", "host": "h", "process": 1, "spec": spec}
    setup = {"protocol": 1, "reverie": "1", "env": "reacher", "path": [], "seed": [1], "acting": {}}
    contents = {
        "setup": damaged_json(generator, setup).encode(),
        "request": Request(1, 8, 0, 3, b"w").to_bytes(),
        "ready": damaged_json(generator, ready).encode(),
        "chunk": Chunk(1, np.zeros(3, dtype)).to_bytes(),
        "failed": damaged_json(generator, {"kind": "WorldError", "text": "x"}).encode(),
    }
    stream = b"".join(frame(kind, content) for kind, content in contents.items())
    if generator.random() < 0.5:
        stream = damaged(generator, stream)
    file = io.BytesIO(stream)
    readers = {"setup": setup_of, "request": Request.of, "ready": ready_of, "failed": failed_of}
    readers["chunk"] = lambda content: Chunk.of(content, dtype)
    while (message := read_frame(file)) is not None:
        with contextlib.suppress(ValueError):  # then a collector is replaced
            readers[message[0]](message[1])


WORDS = [
    ["train", "naf", "worlds:LinearWorld", "--steps", "@", "--quiet", "--out", "NO/t", "--set", "hidden=0"],
    ["train", "@", "worlds:LinearWorld", "--steps", "1"],
    ["train", "naf", "@"],
    ["train", "naf", "worlds:LinearWorld", "--seed", "@", "--set", "batch_size=x"],
    ["train", "naf", "worlds:LinearWorld", "--set", "@"],
    ["train", "naf", "worlds:LinearWorld", "--set", "learning_rate=@", "--set", "batch_size=x"],
    ["train", "naf", "worlds:LinearWorld", "--stop-at", "@", "--set", "x"],
    ["train", "naf", "worlds:LinearWorld", "--out", "@", "--resume", "--set", "hidden=@"],
    ["train", "naf", "worlds:LinearWorld", "--imagine", "@"],
    ["evaluate", "@"], ["evaluate", "RUN", "--episodes", "@", "--env", "no"], ["evaluate", "RUN", "--env", "@"],
    ["evaluate", "RUN", "--seed", "@", "--env", "no"], ["video", "@"], ["video", "RUN", "-o", "@", "--env", "no"],
    ["video", "RUN", "--seconds", "@", "--env", "no"], ["check", "@"], ["check", "worlds:LinearWorld", "--steps", "@0"],
    ["plan", "@", "--method", "ilqg"], ["plan", "reacher", "--method", "@"], ["plan", "reacher", "--method", "mpc", "-o", "@"],
    ["solve", "@", "--method", "q-learning"], ["solve", "FrozenLake-v1", "--method", "value-iteration", "--discount", "@"],
    ["solve", "FrozenLake-v1", "--method", "q-learning", "--learning-rate", "@", "--episodes", "1"],
    ["solve", "FrozenLake-v1", "--method", "q-learning", "--epsilon", "@", "--episodes", "1"],
    ["solve", "FrozenLake-v1", "--method", "q-learning", "--decay", "@", "--episodes", "1"],
    ["solve", "FrozenLake-v1", "--method", "q-learning", "--episodes", "1", "--set", "@"],
    ["solve", "FrozenLake-v1", "--method", "q-learning", "--episodes", "1", "--set", "map_name=@"],
    ["solve", "FrozenLake-v1", "--method", "q-learning", "--episodes", "1", "-o", "@"],
    ["reproduce", "table1", "--dry-run", "--domains", "@"], ["reproduce", "table1", "--dry-run", "--variants", "@"],
    ["reproduce", "table1", "--dry-run", "--backend", "@"], ["reproduce", "@", "--dry-run"],
    ["reproduce", "table1", "--domains", "reacher", "--variants", "naf", "--dry-run", "--jobs", "@"],
    ["reproduce", "table1", "--domains", "reacher", "--variants", "naf", "--dry-run", "--out", "@"],
    ["report", "@"], ["report", "RUN", "-o", "@"], ["bench", "@"], ["bench", "act", "--against", "@"],
    ["watch", "NO/run", "--port", "@"],
    ["bench", "step", "--domains", "@"], ["list", "@"], ["@"], ["--@"], ["train", "--@"],
]  # fmt: skip
HUGE = [number for number in NUMBERS if len(number) > 9]  # asked for and taken, they would run for ever


def words(generator, fixtures):
    """Give the command line an odd word."""
    line = pick(generator, WORDS)
    odd = pick(
        generator, [*NUMBERS, *TEXTS, "x=1", "--set", "~", "/", ".", "x/", "/dev/null", "/proc/self/mem", "a" * 5000]
    )
    odd = pick(
        generator, [odd, str(fixtures.run / "config.json"), str(fixtures.run), "x" * 300, "\udcff", "-", "--", "%s{}"]
    )
    line = [word.replace("@", odd).replace("NO/", str(fixtures.folder / "no") + "/") for word in line]
    line = [str(fixtures.run) if word == "RUN" else word for word in line]
    if (odd in HUGE and "--episodes" in line) or line == ["bench", "--"]:  # the latter runs all benchmarks
        return
    out, told, here = io.StringIO(), io.StringIO(), os.getcwd()
    os.makedirs(fixtures.folder / "here", exist_ok=True)
    os.chdir(fixtures.folder / "here")
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(told):
            status = cli.main(line)
    except SystemExit as ended:  # --help
        status = ended.code or 0
    finally:
        os.chdir(here)
    lines = told.getvalue().splitlines()
    assert status in (0, 2), (status, line, lines[-3:])
    assert status == 0 or len(lines) == 1, (line, lines[:5])


TARGETS = {
    function.__name__: function
    for function in (
        table,
        journal_file,
        checkpoint_file,
        config,
        call,
        log_file,
        kept_log,
        results,
        report,
        cell_file,
        sweep,
        world,
        messages,
        words,
    )
}
