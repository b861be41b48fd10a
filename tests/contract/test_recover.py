"""`reverie recover`: what checksums vouch for is saved elsewhere, in order; the rest is told, and the damaged run stays."""

import errno
import json
import os
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import reverie as rv
from reverie.cli import main
from reverie.storage import checkpoint, journal
from reverie.storage.config import Call
from reverie.storage.journal import TRUNCATED, Journal
from reverie.storage.run import RunDirectory
from reverie.storage.salvage import renumbered
from reverie.storage.tables import read_rows
from reverie.training.recovery import recover
from worlds import Line

SMALL = rv.NAF(hidden=(8,), batch_size=4, warmup_steps=4, updates_per_step=1)
STEPS, EPISODE = 30, 6  # of Line


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    run = tmp_path_factory.mktemp("whole") / "run"
    with rv.Learner(SMALL, "worlds:Line", out=run) as learner:
        learner.learn(12)
        learner.evaluate(1)
        learner.learn(STEPS - 12)
    return run


@pytest.fixture
def run(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "run")
    return tmp_path / "run"


def files_of(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def records_of(run):
    return journal.read(run / "experience" / "journal.bin")[1]


def parts(run):
    """Return the first line and the records, as bytes."""
    data = (run / "experience" / "journal.bin").read_bytes()
    start, records, _ = journal.read(run / "experience" / "journal.bin")
    return data[:start], [bytes(record.tobytes()) for record in records]


def content(records):
    """All of a record but its numbers and what follows from them."""
    names = ("time", "reward", "action", "observation", "next_observation")
    return [b"".join(record[name].tobytes() for name in names) for record in records]


def damage(run, data):
    (run / "experience" / "journal.bin").write_bytes(data)


def loaded(run):
    with rv.Learner.load(run, env=Line) as learner:
        return learner.steps


def test_a_run_that_is_whole_is_copied(run, capsys):
    before = files_of(run)
    found = recover(run)
    assert files_of(run) == before
    assert (found.steps, found.lost_steps, found.left_out, found.journal) == (STEPS, [], [], "whole")
    assert found.checkpoint == f"of step {STEPS}" and loaded(f"{run}-recovered") == STEPS
    assert main(["recover", str(run)]) == 0
    assert "run-recovered-2: 30 steps saved" in capsys.readouterr().out


def test_records_round_damage_are_saved_and_the_gap_is_told(run, capsys):
    line, records = parts(run)
    original = records_of(run)
    for i in (8, 9, 20):  # steps 9, 10 and 21
        records[i] = records[i][:30] + bytes([records[i][30] ^ 1]) + records[i][31:]
    damage(run, line + b"".join(records))
    before = files_of(run)
    with pytest.raises(
        rv.StorageError, match=r"record 9 of 30 is damaged, .*`reverie recover .*run` saves what is intact"
    ):
        rv.Learner.load(run)
    assert main(["recover", str(run), "--json", "-o", str(run.parent / "new")]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert files_of(run) == before
    assert facts["steps"] == 27 and facts["lost_steps"] == [[9, 10], [21, 21]] and facts["goes_on"]
    assert facts["cut_episodes"] == [2, 4] and facts["checkpoint"] == "none"
    found = records_of(run.parent / "new")
    kept = [i for i in range(STEPS) if i not in (8, 9, 20)]
    assert content(found) == content(original[kept]) and found["step"].tolist() == list(range(1, 28))
    assert found["flags"][7] == TRUNCATED and found["flags"][17] == TRUNCATED
    assert found["episode"].tolist() == [1] * 6 + [2] * 2 + [3] * 2 + [4] * 6 + [5] * 2 + [6] * 3 + [7] * 6
    assert loaded(run.parent / "new") == 27
    evaluations = (run.parent / "new" / "evaluations.csv").read_text().splitlines()
    assert len(evaluations) == 2 and evaluations[1].startswith("10,")  # after step 12, of which 10 were kept


def test_an_episode_that_was_aborted_stays_so_under_its_new_number(tmp_path):
    spec, here = rv.EnvSpec(2, [-1.0], [1.0]), np.zeros(2)
    with rv.Learner(SMALL, spec=spec, out=tmp_path / "run") as learner:
        for step in range(1, 12):
            learner.ask(here)
            learner.tell(1.0, here + step, False, truncated=step in (3, 6))
            if step == 9:
                learner.abort("beam lost")
    line, records = parts(tmp_path / "run")
    damage(tmp_path / "run", line + b"".join([*records[:1], *records[2:]]))
    recover(tmp_path / "run", tmp_path / "saved")
    with rv.Learner.load(tmp_path / "saved"):
        (event,) = read_rows(tmp_path / "saved" / "events.csv")
        assert (event["step"], event["episode"], event["text"]) == ("8", "4", "beam lost")
        rows = read_rows(tmp_path / "saved" / "episodes.csv")
    assert [(row["episode"], row["length"], row["truncated"]) for row in rows] == [
        ("1", "1", "1"),
        ("2", "1", "1"),
        ("3", "3", "1"),
        ("4", "3", "1"),
    ]


@pytest.mark.parametrize("before", [True, False])
def test_a_checkpoint_is_kept_where_its_steps_are(run, before):
    line, records = parts(run)
    with rv.Learner.load(run, env=Line) as learner:
        learner.learn(6)
    shutil.copy(run / "checkpoint" / "latest.safetensors", run / "checkpoint" / "best.safetensors")
    if not before:
        (run / "checkpoint" / "previous.safetensors").unlink()
    line, records = parts(run)
    damage(run, line + b"".join(records[:-2]) + b"x" * 300)
    found = recover(run)
    assert found.steps == 34 and found.checkpoint == (f"of step {STEPS}" if before else "none")
    assert any("latest.safetensors: it was learnt from steps that are lost" in what for what in found.left_out)
    assert loaded(found.out) == 34


def test_damaged_checkpoints_and_rows_are_left_out(run):
    latest = run / "checkpoint" / "latest.safetensors"
    latest.write_bytes(latest.read_bytes()[:-9])
    with open(run / "evaluations.csv", "a") as file:
        file.write("x,1,2,3,4\n")
    found = recover(run)
    assert "checkpoint/latest.safetensors: damaged" in found.left_out and "1 row of evaluations.csv" in found.left_out
    assert loaded(found.out) == STEPS


@pytest.mark.parametrize(
    "line", [b"", b"garbage\n", b'{"format": "reverie-journal-1", "observation_dim": 2, "acti#n_dim": 1}\n']
)
def test_a_damaged_first_line_is_made_anew(line, run):
    original = records_of(run)
    damage(run, line + b"".join(parts(run)[1]))
    with pytest.raises(rv.StorageError, match="`reverie recover "):
        rv.Learner.load(run)
    found = recover(run)
    assert found.journal == "the first line was rebuilt" and found.steps == STEPS
    assert records_of(run.parent / "run-recovered").tobytes() == original.tobytes() and loaded(found.out) == STEPS


def without_facts(run):
    """Have no checkpoint, nor the journal, tell how the run was begun, as in those of older versions."""
    shutil.rmtree(run / "checkpoint")
    records = records_of(run)
    header = journal.read_header(run / "experience" / "journal.bin")._replace(begun=None)
    damage(run, journal.first_line(header) + records.tobytes())


def test_what_config_held_is_said_to_be_lost(run, capsys):
    without_facts(run)
    (run / "config.json").write_text("{")
    assert main(["recover", str(run)]) == 0
    assert "config.json: lost, and there is no copy of it" in capsys.readouterr().out
    assert len(records_of(run.parent / "run-recovered")) == STEPS


@pytest.mark.parametrize("damage", ["{", "", None, "[]", '{"format": 1}', "\0" * 300])
@pytest.mark.parametrize("source", ["checkpoint", "old checkpoint", "journal"])
def test_a_damaged_config_is_made_anew(run, damage, source, capsys):
    before = RunDirectory(run).read_config()
    if damage is None:
        (run / "config.json").unlink()
    else:
        (run / "config.json").write_text(damage)
    if source == "journal":
        shutil.rmtree(run / "checkpoint")
    elif source == "old checkpoint":
        records = records_of(run)
        without_facts_of_journal = journal.read_header(run / "experience" / "journal.bin")._replace(begun=None)
        (run / "experience" / "journal.bin").write_bytes(
            journal.first_line(without_facts_of_journal) + records.tobytes()
        )
        file = run / "checkpoint" / "latest.safetensors"
        arrays, facts = checkpoint.read(file)
        checkpoint.save(file, arrays, {name: value for name, value in facts.items() if name != "config"})
    assert main(["recover", str(run)]) == 0
    said = capsys.readouterr().out
    assert f"rebuilt from {'the journal' if source == 'journal' else 'checkpoint/latest.safetensors'}" in said
    found = RunDirectory(run.parent / "run-recovered").read_config()
    assert (found.agent, found.env, found.seed) == (before.agent, before.env, before.seed) and found.signature is None
    if source == "checkpoint":
        assert found == before.changed(signature=None)
    words = ["train", "naf", "worlds:Line", "--resume", "--steps", "2", "--quiet", "--out", f"{run}-recovered"]
    assert main(words) == 0


def without(facts, *names):
    """Remove what is at the end of names, in place."""
    for name in names[:-1]:
        facts = facts[name]
    del facts[names[-1]]


@pytest.mark.parametrize(
    "names",
    [
        ("begun", "agent"),
        ("begun", "agent", "name"),
        ("begun", "agent", "settings"),
        ("begun", "agent", "settings", "batch_size"),
        ("begun", "seed"),
        ("begun", "env"),
        ("world", "action_low"),
        ("world", "action_high"),
        ("world", "observation_dim"),
        ("observation_dim",),
        ("action_dim",),
        "no begun",
        "other sizes",
    ],
)
@pytest.mark.parametrize("config", ["config", "no config"])
def test_a_first_line_that_lacks_something_is_made_anew(names, config, run, capsys):
    line, records = parts(run)
    facts = json.loads(line)
    if names == "no begun":
        facts["begun"] = {}
    elif names == "other sizes":
        facts["world"]["observation_dim"] += 1
    else:
        without(facts, *names)
    damage(run, json.dumps(facts).encode() + b"\n" + b"".join(records))
    if config == "no config":
        (run / "config.json").unlink()
    assert main(["recover", str(run)]) == 0
    assert "journal: " in (said := capsys.readouterr().out) and "rebuilt" in said
    new = run.parent / "run-recovered"
    assert main(["evaluate", str(new), "--env", "worlds:Line", "--episodes", "1"]) == 0
    assert main(["train", "naf", "worlds:Line", "--resume", "--steps", "2", "--quiet", "--out", str(new)]) == 0
    assert len(records_of(new)) == STEPS + 2


@pytest.mark.parametrize("source", ["checkpoint", "journal"])
def test_the_config_of_a_program_of_ones_own_is_made_anew(tmp_path, source):
    spec = rv.EnvSpec(2, [-2.0], [3.0], name="line7")
    with rv.Learner(SMALL, spec=spec, out=tmp_path / "run", seed=4) as learner:
        for _ in range(6):
            learner.ask([0.0, 1.0])
            learner.tell(1.0, [0.0, 1.0], False, False)
        learner.save()
    if source == "journal":
        shutil.rmtree(tmp_path / "run" / "checkpoint")
    (tmp_path / "run" / "config.json").write_text("")
    found = recover(tmp_path / "run")
    assert found.goes_on
    with rv.Learner.load(found.out) as learner:
        assert learner.steps == 6 and learner.spec == spec and learner.seed == 4 and learner.config == SMALL


def test_settings_that_changed_are_those_of_the_newest_checkpoint(run):
    other = SMALL.replace(learning_rate=1e-5)
    with rv.Learner.load(run, config=other) as learner:
        learner.learn(3)
    (run / "config.json").unlink()
    with rv.Learner.load(recover(run).out, env=Line) as learner:
        assert learner.config == other and learner.steps == STEPS + 3
    assert len(RunDirectory(f"{run}-recovered").read_config().history) == 2


def test_whatever_else_can_be_read_is_copied(run, capsys):
    (run / "film.mp4").write_bytes(b"film")
    (run / "notes").mkdir()
    (run / "notes" / "day 1.txt").write_text("it rained")
    (run / "checkpoint" / "before-relearn-1").mkdir()
    (run / "checkpoint" / "before-relearn-1" / "metrics.csv").write_text("x")
    (run / "experience" / "journal.bin.cut").write_bytes(b"cut")
    (run / "events.csv").write_text("step,episode,kind,text\n3,1,clipped,x\n25,5,value,y\nz,,,\n")
    RunDirectory(run).write_call(Call(28, 10))
    (run / "secret").symlink_to("/etc/passwd")
    (run / "folder").symlink_to("/etc")
    os.mkfifo(run / "pipe")
    line, records = parts(run)
    damage(run, line + b"".join(records[:9] + records[11:]))  # steps 10 and 11 are lost
    before = {name: data for name, data in files_of(run).items() if name not in ("secret",)}
    assert main(["recover", str(run)]) == 0
    told, new = capsys.readouterr().out, run.parent / "run-recovered"
    for name in (
        "film.mp4",
        "notes/day 1.txt",
        "checkpoint/before-relearn-1/metrics.csv",
        "experience/journal.bin.cut",
    ):
        assert (new / name).read_bytes() == before[name]
    assert (new / "events.csv").read_text() == "step,episode,kind,text\n3,1,clipped,x\n23,6,value,y\n"
    assert RunDirectory(new).read_call() == Call(26, 10)
    for name in ("secret: a symbolic link", "folder: a symbolic link", "pipe: ", "1 row of events.csv"):
        assert f"left out: {name}" in told
    assert not any((new / name).exists() for name in ("secret", "folder", "pipe"))
    assert f"to continue: reverie train naf worlds:Line --out {new} --resume" in told
    assert main(["train", "naf", "worlds:Line", "--resume", "--quiet", "--out", str(new)]) == 0
    assert len(records_of(new)) == 36


@pytest.mark.parametrize("latest", [True, False])
def test_a_journal_that_was_cut_short_names_what_saves_it(run, latest, capsys):
    line, records = parts(run)
    damage(run, line + b"".join(records[:20]))
    if not latest:
        os.replace(run / "checkpoint" / "latest.safetensors", run / "checkpoint" / "previous.safetensors")
    with pytest.raises(rv.StorageError, match=rf"learnt from 30; restore .*backup, or `reverie recover {run}` saves"):
        rv.Learner.load(run, env=Line)
    assert recover(run).steps == 20


@pytest.mark.parametrize("case", ["no folder", "no run", "nothing whole", "no journal", "in use", "within", "occupied"])
def test_what_cannot_be_saved_is_one_line(case, run, capsys, monkeypatch):
    out = run.parent / "new"
    if case == "no folder":
        shutil.rmtree(run)
    elif case == "no run":
        shutil.rmtree(run)
        run.mkdir()
    elif case == "nothing whole":
        damage(run, b"\x07" * 5000)
    elif case == "no journal":
        (run / "experience" / "journal.bin").unlink()
    elif case == "within":
        out = run / "new"
    elif case == "occupied":
        out.mkdir()
        (out / "file").touch()
    before = files_of(run.parent)
    if case == "in use":
        with rv.Learner.load(run, env=Line):
            assert main(["recover", str(run), "-o", str(out)]) == 2
    else:
        assert main(["recover", str(run), "-o", str(out)]) == 2
        assert files_of(run.parent) == before
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1 and errors.startswith("reverie: ")


@pytest.mark.parametrize(
    "kind", ["device", "file", "link", "dangling", "pipe", "NUL", "long", "empty", "under a file", "proc"]
)
def test_what_is_no_place_for_a_directory_is_one_line_and_stays(kind, run, tmp_path, capsys):
    (tmp_path / "file").write_text("keep")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "dangling").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    odd = {"device": "/dev/full", "NUL": "a\0b", "long": "x" * 300, "empty": "", "under a file": f"{tmp_path}/file/new"}
    assert (
        main(["recover", str(run), "-o", odd.get(kind, "/proc/new" if kind == "proc" else str(tmp_path / kind))]) == 2
    )
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1 and errors.startswith("reverie: ") and "Error" not in errors
    assert (tmp_path / "file").read_text() == "keep" and (tmp_path / "pipe").is_fifo()
    assert (tmp_path / "link").is_symlink() and (tmp_path / "dangling").is_symlink()


@pytest.mark.parametrize("at", [1, 2, 4])
def test_a_full_disk_leaves_no_half_of_what_is_saved(at, run, monkeypatch):
    real, calls = os.write, []

    def full(handle, data):
        calls.append(handle)
        if len(calls) == at:
            real(handle, bytes(data)[: len(data) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(handle, data)

    before = files_of(run.parent)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(rv.StorageError, match="No space left on device"):
            recover(run)
    assert files_of(run.parent) == before
    assert loaded(recover(run).out) == STEPS


KINDS = st.sampled_from(["flip", "zero", "cut", "insert", "remove", "swap", "double"])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(KINDS, st.integers(0, 10**6), st.integers(1, 400)), min_size=1, max_size=4))
def test_whatever_is_damaged_what_comes_back_are_originals_in_order(whole, tmp_path_factory, harm):
    run = tmp_path_factory.mktemp("harm") / "run"
    shutil.copytree(whole, run)
    original = records_of(run)
    data = bytearray((run / "experience" / "journal.bin").read_bytes())
    for kind, place, size in harm:
        at = place % max(1, len(data))
        piece = bytes(data[at : at + size])
        if kind == "flip" and piece:
            data[at] ^= 1 << (size % 8)
        elif kind == "zero":
            data[at : at + size] = bytes(len(piece))
        elif kind == "cut":
            del data[at:]
        elif kind == "insert":
            data[at:at] = np.random.default_rng(place).bytes(size)
        elif kind == "remove":
            del data[at : at + size]
        elif kind == "swap":
            other = data[at + size : at + 2 * size]
            data[at : at + 2 * size] = other + piece
        else:
            data[at:at] = piece
    damage(run, bytes(data))
    before = files_of(run)
    try:
        found = recover(run)
    except rv.StorageError as error:
        assert "nothing can be saved" in str(error) and not (run.parent / "run-recovered").exists()
        return
    finally:
        assert files_of(run) == before
    kept = records_of(run.parent / "run-recovered")  # which raises where it is no journal that loads
    places = {part: i for i, part in enumerate(content(original))}
    order = [places[part] for part in content(kept)]
    assert order == sorted(set(order)) and len(order) == found.steps
    lost = sum(last - first + 1 for first, last in found.lost_steps)
    assert not order or order[-1] + 1 == found.steps + lost


def test_worlds_that_take_turns_keep_them(tmp_path):
    """Of a round in which a step is missing none is kept, else every later step would be another world's."""
    book = Journal(tmp_path / "journal.bin", 2, 1)
    for step in range(1, 21):
        world, turn = (step - 1) % 2, (step - 1) // 2
        book.append(step, 1e9, 1 + world + 2 * (turn // 5), 2 * (turn % 5 == 4), 0.0, [0.0], [world] * 2, [world] * 2)
    book.close()
    records = journal.read(tmp_path / "journal.bin")[1]
    new = renumbered(records[np.arange(20) != 6], 2)  # world 0's fourth step
    assert new.kept.tolist() == [1, 2, 3, 4, 5, 6, *range(9, 21)] and new.cut_episodes == [1, 2]
    assert new.records["observation"][:, 0].tolist() == [0, 1] * 9
    assert new.records["flags"][4:6].tolist() == [TRUNCATED] * 2 and new.untouched == 4


def test_episodes_of_collectors_go_on_until_a_gap(tmp_path):
    """Two collectors take turns by chunks of two steps; what mixes is kept as it is, and what a gap cuts is ended."""
    book = Journal(tmp_path / "journal.bin", 2, 1)
    episodes = [1, 1, 2, 2, 1, 1, 2, 2, 1, 3, 2, 3]
    for step, episode in enumerate(episodes, 1):
        book.append(step, 1e9, episode, int(step == 9), 0.0, [0.0], [episode] * 2, [episode] * 2)
    book.close()
    records = journal.read(tmp_path / "journal.bin")[1]
    same = renumbered(records, 1)
    assert (same.records == records).all() and same.untouched == 12 and same.cut_episodes == []
    cut = renumbered(records[np.arange(12) != 5], 1)  # step 6, of episode 1; both episodes go on after it
    assert cut.records["episode"].tolist() == [1, 1, 2, 2, 1, 3, 3, 4, 5, 3, 5]
    assert cut.records["observation"][:, 0].tolist() == [1, 1, 2, 2, 1, 2, 2, 1, 3, 2, 3]
    assert cut.records["flags"].tolist() == [0, 0, 0, TRUNCATED, TRUNCATED, 0, 0, 1, 0, 0, 0]
    assert cut.cut_episodes == [1, 2] and cut.untouched == 3
    late = renumbered(records[2:], 1)  # the first two are lost
    assert late.records["episode"].tolist() == [1, 1, 2, 2, 1, 1, 2, 3, 1, 3] and late.cut_episodes == [2]


# ---- the tail


def torn(run, tail):
    line, records = parts(run)
    damage(run, line + b"".join(records) + tail)
    return len(records[0])


@pytest.mark.parametrize("case", ["part", "whole-sized", "zeros", "part and zeros"])
def test_one_torn_record_is_cut_and_kept(case, run):
    record = parts(run)[1][0]
    bad = record[:-1] + bytes([record[-1] ^ 1])
    tail = {"part": bad[:20], "whole-sized": bad, "zeros": bytes(5000), "part and zeros": bad[:20] + bytes(5000)}[case]
    for number in ("", "-2"):
        torn(run, tail)
        assert loaded(run) == STEPS
        assert (run / "experience" / f"journal.bin.cut{number}").read_bytes() == tail
        assert len(records_of(run)) == STEPS


@pytest.mark.parametrize("more", [1, 20])
def test_more_than_one_damaged_record_at_the_end_is_damage(more, run):
    record = parts(run)[1][0]
    torn(run, (record[:-1] + bytes([record[-1] ^ 1])) * 2 + b"x" * more)
    before = files_of(run)
    with pytest.raises(
        rv.StorageError, match=r"everything after record 30 is damaged, and a crash damages one .*reverie recover"
    ):
        rv.Learner.load(run)
    assert files_of(run) == before
    assert loaded(recover(run).out) == STEPS


def test_what_is_cut_is_on_the_disk_before_it_goes(run, monkeypatch):
    done = []
    torn(run, b"torn")
    cut, write = Journal.go_back, journal.write_whole
    monkeypatch.setattr(journal, "write_whole", lambda *args: (done.append("kept"), write(*args)))
    monkeypatch.setattr(Journal, "go_back", lambda self, place: (done.append("cut"), cut(self, place)))
    book = Journal(run / "experience" / "journal.bin", 2, 1)
    book.cut()
    book.close()
    assert done == ["kept", "cut"]
