"""Files and processes of hrcc: what is written, what is left behind, when the
disk is full, a limit is reached, or somebody ends it."""
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest
import torch

import headrace


class Wide(torch.nn.Module):
    """Weights of 16 MiB, so that writing them takes a while."""

    def __init__(self):
        super().__init__()
        self.table = torch.nn.Parameter(torch.randn(2048, 2048))

    def forward(self, x):
        return x @ self.table


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    path = tmp_path_factory.mktemp("program") / "wide.pt2"
    torch.export.save(torch.export.export(Wide(), (torch.randn(2, 2048),)), path)
    return str(path)


@pytest.fixture(scope="module")
def relu():
    return os.path.join(os.path.dirname(__file__), "..", "driver", "Inputs",
                        "relu.mlir")


def hrcc_children(parent):
    """Processes whose parent is `parent`."""
    children = []
    for name in os.listdir("/proc"):
        with contextlib.suppress(OSError):
            if name.isdigit():
                with open(f"/proc/{name}/stat") as file:
                    # The name in parentheses may have spaces.
                    if int(file.read().rpartition(")")[2].split()[1]) == parent:
                        children.append(int(name))
    return children


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)
    return value


def begin(hrcc, program, folder, *more):
    """hrcc that has begun to write: its process and its child's number."""
    process = subprocess.Popen(
        [hrcc, program, "-o", str(folder / "out.so"), *more],
        stderr=subprocess.PIPE, text=True)
    [child] = wait_for(lambda: hrcc_children(process.pid))
    wait_for(lambda: any(name.startswith(f".hrcc-{child}-") for name in
                         os.listdir(folder)))
    return process, child


def get_temporaries(folder):
    return [name for name in os.listdir(folder) if "hrcc-" in name]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM,
                                    signal.SIGXCPU])
def test_a_killed_child_leaves_nothing(hrcc, program, tmp_path, monkeypatch,
                                       number):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    process, child = begin(hrcc, program, tmp_path)
    os.kill(child, number)
    _, messages = process.communicate(timeout=60)
    assert os.listdir(tmp_path) == []  # no reproducer, with the weights in it
    if number == signal.SIGTERM:
        assert process.returncode == -number and messages == ""
    else:
        assert process.returncode == 1
        assert re.match("hrcc: error: killed in step .*" +
                        ("want of memory" if number == signal.SIGKILL else
                         re.escape("(CPU time limit exceeded)")), messages)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM,
                                    signal.SIGHUP, signal.SIGQUIT])
@pytest.mark.parametrize("more", [(), ("--verify",)])
def test_an_interrupt_leaves_nothing(hrcc, program, tmp_path, monkeypatch,
                                     number, more):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    process, _ = begin(hrcc, program, tmp_path, *more)
    if more:  # not before the second compilation
        wait_for(lambda: any(os.path.isdir(tmp_path / name) for name in
                             os.listdir(tmp_path)))
    process.send_signal(number)
    _, messages = process.communicate(timeout=60)
    assert process.returncode == -number
    assert messages == ""
    assert os.listdir(tmp_path) == (["out.so"] if more else [])


#: A child that is slow to say what becomes of it when its parent dies.
SLOW_CHILD = """
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
int prctl(int option, ...) {
  va_list list;
  va_start(list, option);
  unsigned long argument = va_arg(list, unsigned long);
  va_end(list);
  for (int i = 0; option == PR_SET_PDEATHSIG && i < 300; ++i)
    usleep(10000);
  return (int)syscall(SYS_prctl, option, argument, 0, 0, 0);
}
"""


def test_an_interrupt_while_the_child_begins(hrcc, program, tmp_path):
    """What finds the child with the parent's handlers ends it all the same."""
    (tmp_path / "slow.c").write_text(SLOW_CHILD)
    slow = tmp_path / "slow.so"
    subprocess.run([shutil.which("clang-22") or "cc", "-shared", "-fPIC",
                    tmp_path / "slow.c", "-o", slow], check=True)
    process = subprocess.Popen([hrcc, program, "-o", tmp_path / "out.so"],
                               env=dict(os.environ, LD_PRELOAD=str(slow)),
                               stderr=subprocess.PIPE, text=True)
    wait_for(lambda: hrcc_children(process.pid))
    process.send_signal(signal.SIGTERM)
    _, messages = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGTERM and messages == ""
    assert sorted(os.listdir(tmp_path)) == ["slow.c", "slow.so"]


def test_what_two_dead_left_goes_with_the_next_run(hrcc, program, relu, tmp_path,
                                                   monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    process, child = begin(hrcc, program, tmp_path)
    process.kill()  # its child is killed with it
    process.communicate(timeout=60)
    wait_for(lambda: not os.path.exists(f"/proc/{child}"))
    left = get_temporaries(tmp_path)
    assert left
    # Those of a living one stay.
    other, child = begin(hrcc, program, tmp_path)
    os.kill(child, signal.SIGSTOP)
    try:
        theirs = get_temporaries(tmp_path)
        assert theirs and not set(left) & set(theirs)
        subprocess.run([hrcc, relu, "-o", tmp_path / "relu.so", "--verify"],
                       check=True, stdout=subprocess.DEVNULL)
        assert get_temporaries(tmp_path) == theirs
    finally:
        os.kill(child, signal.SIGCONT)
        other.communicate(timeout=120)
    assert other.returncode == 0
    assert sorted(os.listdir(tmp_path)) == ["out.so", "relu.so"]


def test_files_of_others_stay(hrcc, relu, tmp_path):
    """Only names that are ours are removed."""
    names = [".hrcc-1-2.tmp.bak", "hrcc-1-2", ".hrcc-x-1.tmp", "a.tmp"]
    (tmp_path / ".hrcc-1-3.tmp").mkdir()  # is none of an output
    for name in [*names, ".hrcc-999999999-0.tmp"]:
        (tmp_path / name).write_text("x")
    subprocess.run([hrcc, relu, "-o", tmp_path / "relu.so"], check=True)
    assert sorted(os.listdir(tmp_path)) == sorted([*names, ".hrcc-1-3.tmp",
                                                   "relu.so"])


@pytest.mark.parametrize("blocks", [8, 64, 4096])
def test_a_limit_on_the_size_of_files_is_an_error(hrcc, program, tmp_path,
                                                  monkeypatch, blocks):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    done = subprocess.run(
        ["bash", "-c", f"ulimit -f {blocks}; exec \"$@\"", "_", hrcc, program,
         "-o", str(tmp_path / "out.so")], stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert "File too large" in done.stderr
    assert "crash" not in done.stderr
    assert os.listdir(tmp_path) == []


@contextlib.contextmanager
def small_disk(folder, options):
    """A file system of some size; skips where mounting is not permitted."""
    if os.geteuid() != 0:
        pytest.skip("mounting is not permitted")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "headrace-test",
                           str(folder)], capture_output=True)
    if done.returncode:
        pytest.skip("mounting is not permitted")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("change", ["shorten", "touch"])
def test_an_input_that_changes_while_it_is_read(hrcc, program, tmp_path, change):
    """It is mapped: what is gone, or other than it was, is no crash of hrcc and
    no artifact."""
    path = tmp_path / "model.pt2"
    shutil.copy(program, path)
    process = subprocess.Popen([hrcc, "-v", path, "-o", tmp_path / "out.so"],
                               stderr=subprocess.PIPE, text=True)
    while not process.stderr.readline().startswith("hrcc: read"):
        assert process.poll() is None
    child, = hrcc_children(process.pid)
    os.kill(child, signal.SIGSTOP)
    if change == "shorten":
        os.truncate(path, 4096)
    else:
        os.utime(path, (0, 0))
    os.kill(child, signal.SIGCONT)
    messages = process.communicate()[1]
    assert process.returncode == 1
    assert f"'{path}' was changed while it was read" in messages
    assert "crash" not in messages
    assert os.listdir(tmp_path) == ["model.pt2"]


# Ends in the code, in the weights, in the last pages.
@pytest.mark.parametrize("size", ["16k", "64k", "8m", "16420k"])
def test_a_full_disk_is_an_error(hrcc, program, tmp_path, monkeypatch, size):
    folder = tmp_path / "disk"
    folder.mkdir()
    with small_disk(folder, f"size={size}"):
        monkeypatch.setenv("TMPDIR", str(folder))
        done = subprocess.run([hrcc, program, "-o", str(folder / "out.so")],
                              stderr=subprocess.PIPE, text=True)
        assert done.returncode == 1
        assert f"cannot write '{folder}/out.so': No space left" in done.stderr
        assert "crash" not in done.stderr
        assert os.listdir(folder) == []


@pytest.mark.parametrize("option", ["--report={}/r.json", "-save-temps", "-c"])
def test_a_disk_too_full_for_what_lies_beside(hrcc, program, tmp_path, option):
    """All outputs are there, or none."""
    folder = tmp_path / "disk"
    folder.mkdir()
    with small_disk(folder, "size=64k"):
        done = subprocess.run(
            [hrcc, program, option.format(folder), "-o", str(folder / "out.so")],
            stderr=subprocess.PIPE, text=True)
        assert done.returncode == 1
        assert "No space left" in done.stderr and "crash" not in done.stderr
        assert not [name for name in os.listdir(folder)
                    if name.startswith("out.s") or "hrcc" in name]


def test_a_folder_that_cannot_be_written_to(hrcc, program, tmp_path):
    """It is said before the work."""
    folder = tmp_path / "disk"
    folder.mkdir()
    with small_disk(folder, "ro,size=64k"):
        done = subprocess.run([hrcc, program, "-v", "-o", str(folder / "out.so")],
                              stderr=subprocess.PIPE, text=True)
        assert done.returncode == 1
        assert done.stderr.splitlines() == [
            f"hrcc: error: cannot write '{folder}/out.so': Read-only file system"]


def test_a_temporary_folder_mounted_noexec_is_named(hrcc, relu, tmp_path,
                                                    monkeypatch):
    folder = tmp_path / "disk"
    folder.mkdir()
    with small_disk(folder, "noexec,size=64m"):
        monkeypatch.setenv("TMPDIR", str(folder))
        done = subprocess.run([hrcc, relu, "-o", str(tmp_path / "a.so"),
                               "--verify"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)
        assert done.returncode == 1
        assert "noexec" in done.stderr and "TMPDIR" in done.stderr
        assert str(folder) in done.stderr
        assert "/./" not in done.stderr  # how the loader was made to look
        assert os.listdir(folder) == []


def test_a_temporary_folder_that_is_not_there_is_named(hrcc, relu, tmp_path,
                                                       monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "none"))
    output = str(tmp_path / "a.so")
    subprocess.run([hrcc, relu, "-o", output], check=True)  # needs none
    done = subprocess.run([hrcc, relu, "-o", output, "--verify"],
                          stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert f"'{tmp_path}/none' (TMPDIR" in done.stderr


def test_a_failure_is_one_where_children_are_ignored(hrcc, relu, tmp_path):
    """Who starts it may have told the system to forget its children."""
    def ignore():
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    done = subprocess.run([hrcc, tmp_path / "none.mlir", "-o", tmp_path / "a.so"],
                          preexec_fn=ignore, stderr=subprocess.DEVNULL)
    assert done.returncode == 1


class Long(torch.nn.Module):
    """More stages, without fusion, than there may be files."""

    def forward(self, x):
        for i in range(100):
            x = torch.sin(x + i)
        return x


def test_more_stages_than_open_files(hrcc, tmp_path):
    program = str(tmp_path / "long.pt2")
    torch.export.save(torch.export.export(Long(), (torch.randn(3),)), program)
    subprocess.run(["bash", "-c", "ulimit -n 40; exec \"$@\"", "_", hrcc, program,
                    "-O0", "-o", str(tmp_path / "long.so")], check=True)
    x = torch.randn(3)
    torch.testing.assert_close(headrace.load(tmp_path / "long.so")(x), Long()(x))


def test_output_names_of_any_length(hrcc, relu, tmp_path):
    output = tmp_path / ("x" * 250 + ".so")
    subprocess.run([hrcc, relu, "--name=x", "-o", output], check=True)
    done = subprocess.run([hrcc, relu, "-o", tmp_path / ("x" * 254 + ".so")],
                          stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1 and "File name too long" in done.stderr
    assert os.listdir(tmp_path) == [output.name]


def exports(path):
    """What a shared object exports, by its own tables."""
    done = subprocess.run(["llvm-nm-22", "--dynamic", "--defined-only", path],
                          stdout=subprocess.PIPE, check=True, text=True)
    return [line.split()[-1] for line in done.stdout.splitlines()]


@pytest.mark.parametrize("weights", ["embed", "external"])
def test_names_of_saved_artifacts_follow_the_files(tmp_path, weights):
    """Two models in one folder, each with its table and its weights; the second
    neither takes nor loses anything of the first's."""
    x = torch.randn(2, 8)
    modules = {name: torch.nn.Linear(8, 4) for name in ("a", "b-2.x")}
    saved = {}
    for name, module in modules.items():
        model = headrace.compile(module, (x,), options={"weights": weights})
        saved[name] = str(tmp_path / f"{name}.so")
        model.save(saved[name])
    files = [f"{name}{ending}" for name in modules
             for ending in (".so", ".weights")[:1 + (weights == "external")]]
    assert sorted(os.listdir(tmp_path)) == sorted(files)
    for (name, module), table in zip(modules.items(), ("a", "b_2_x")):
        model = headrace.load(saved[name])
        assert model.signature["name"] == table
        if shutil.which("llvm-nm-22"):
            assert exports(saved[name]) == [f"hr_model_{table}"]
        model.check()
        torch.testing.assert_close(model(x), module(x))
    # The symbol is found through the hash table, by the loader.
    code = ("import ctypes, sys; a, b = (ctypes.CDLL(p, ctypes.RTLD_GLOBAL) for "
            "p in sys.argv[1:]); a.hr_model_a; b.hr_model_b_2_x; "
            "assert not hasattr(a, 'hr_model_model')")
    subprocess.run([sys.executable, "-c", code, *saved.values()], check=True)


def test_a_copy_is_what_hrcc_writes_under_that_name(hrcc, relu, tmp_path):
    first, second = tmp_path / "first.so", tmp_path / "the second.so"
    subprocess.run([hrcc, relu, "-o", first], check=True)
    headrace.load(first).save(tmp_path / "again.so")
    headrace.load(tmp_path / "again.so").save(second)
    subprocess.run([hrcc, relu, "-o", tmp_path / "direct.so",
                    "--name=the_second"], check=True)
    copied = headrace.load(second).signature
    direct = headrace.load(tmp_path / "direct.so").signature
    assert copied == direct
    # A name that was asked for stays.
    headrace.load(tmp_path / "direct.so").save(tmp_path / "other.so")
    assert headrace.load(tmp_path / "other.so").signature == direct


def test_a_name_is_cut_to_what_there_is_room_for(hrcc, relu, tmp_path):
    subprocess.run([hrcc, relu, "-o", tmp_path / "a.so"], check=True)
    path = tmp_path / ("n" * 200 + ".so")
    headrace.load(tmp_path / "a.so").save(path)
    assert headrace.load(path).signature["name"] == "n" * 118
    headrace.load(path).check()


def test_saving_replaces_no_device(hrcc, relu, tmp_path):
    subprocess.run([hrcc, relu, "-o", tmp_path / "a.so"], check=True)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(headrace.Error, match="it is no file"):
        headrace.load(tmp_path / "a.so").save(tmp_path / "pipe")
    assert sorted(os.listdir(tmp_path)) == ["a.so", "pipe"]


def test_names_of_entries_are_checked(program):
    with pytest.raises(ValueError, match="C identifiers, but there is "
                       "'my entry', '1st', 'a/b', 3$"):
        headrace.compile({"my entry": program, "good": program, "1st": program,
                          "a/b": program, 3: program})


@pytest.mark.parametrize("options, message", [
    ("noexec,size=64m", "its file system is mounted noexec: name another folder "
     "in TMPDIR"),
    ("size=1m", "cannot write the program to '{}.*': it has 16777216 bytes of "
     "weights, and 1048576 are free; name another folder in TMPDIR"),
    ("size=17m", "cannot write '{}.*model.so': No space left on device")])
def test_temporary_folders_of_the_package(tmp_path, monkeypatch, options,
                                          message):
    folder = tmp_path / "disk"
    folder.mkdir()
    with small_disk(folder, options):
        monkeypatch.setattr("tempfile.tempdir", str(folder))
        monkeypatch.setenv("TMPDIR", str(folder))
        with pytest.raises(headrace.Error, match=message.format(folder)):
            headrace.compile(Wide(), (torch.randn(2, 2048),))
        assert os.listdir(folder) == []
