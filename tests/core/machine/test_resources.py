import os
import subprocess
import sys

import psutil
import pytest

from bmp_astro.core.machine import resources
from bmp_astro.core.machine.cgroups import cpu_quota, memory_left
from bmp_astro.core.machine.resources import (
    available_cores,
    available_memory,
    num_can_process,
    peak_memory,
    reset_peak_memory,
)

pytestmark = pytest.mark.timeout(60)

MIB = 2**20
V2_MOUNT = "30 23 0:26 {root} /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
V1_MOUNT = "3{n} 31 0:3{n} {root} /sys/fs/cgroup/{name} rw shared:9 - cgroup cgroup rw,{name}\n"
V1_NO_LIMIT = 9223372036854771712


@pytest.fixture(autouse=True)
def no_slurm(monkeypatch):
    for name in [name for name in os.environ if name.startswith("SLURM_")]:
        monkeypatch.delenv(name)


class Tree:
    """A made-up root of the file system."""

    def __init__(self, root):
        self.root = root

    def write(self, path, text):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")
        return self

    def v2(self, own, mounted="/"):
        self.write("proc/self/cgroup", f"0::{own}")
        return self.write("proc/self/mountinfo", V2_MOUNT.format(root=mounted).strip())

    def v1(self, own, mounted="/"):
        self.write(
            "proc/self/cgroup", f"9:name=systemd:/\n4:memory:{own}\n3:cpu,cpuacct:{own}\n0::/"
        )
        lines = [
            V1_MOUNT.format(n=n, root=mounted, name=name)
            for n, name in enumerate(["memory", "cpu,cpuacct"])
        ]
        return self.write("proc/self/mountinfo", "".join(lines).strip())

    def memory_v1(self, group, limit, usage, **stat):
        folder = f"sys/fs/cgroup/memory{group}/memory"
        self.write(f"{folder}.limit_in_bytes", limit).write(f"{folder}.usage_in_bytes", usage)
        return self.write(f"{folder}.stat", "\n".join(f"{k} {v}" for k, v in stat.items()))

    def memory_v2(self, group, limit, usage, high="max", **stat):
        folder = f"sys/fs/cgroup{group}/memory"
        self.write(f"{folder}.max", limit).write(f"{folder}.current", usage)
        self.write(f"{folder}.high", high)
        return self.write(f"{folder}.stat", "\n".join(f"{k} {v}" for k, v in stat.items()))


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


def test_no_cgroups_no_limits(tmp_path):
    assert cpu_quota(tmp_path) is None
    assert memory_left(tmp_path) is None
    assert 1 <= available_cores(root=tmp_path) <= psutil.cpu_count()


class TestQuota:
    @pytest.mark.parametrize(
        ("text", "quota"), [("max 100000", None), ("250000 100000", 2.5), ("5000 100000", 0.05)]
    )
    def test_v2(self, tree, text, quota):
        tree.v2("/user/job").write("sys/fs/cgroup/user/job/cpu.max", text)
        assert cpu_quota(tree.root) == quota

    def test_the_least_of_all_ancestors_counts(self, tree):
        tree.v2("/a/b/c")
        tree.write("sys/fs/cgroup/a/cpu.max", "150000 100000")
        tree.write("sys/fs/cgroup/a/b/cpu.max", "400000 100000")
        tree.write("sys/fs/cgroup/a/b/c/cpu.max", "max 100000")
        tree.write("sys/fs/cgroup/other/cpu.max", "1000 100000")
        assert cpu_quota(tree.root) == 1.5

    def test_v1(self, tree):
        tree.v1("/slurm/job_7")
        for group, quota in (("", -1), ("/slurm", 300000), ("/slurm/job_7", -1)):
            folder = f"sys/fs/cgroup/cpu,cpuacct{group}"
            tree.write(f"{folder}/cpu.cfs_quota_us", quota)
            tree.write(f"{folder}/cpu.cfs_period_us", 100000)
        assert cpu_quota(tree.root) == 3

    @pytest.mark.parametrize(
        ("own", "mounted"),
        [
            ("/docker/abc", "/docker/abc"),
            ("/", "/"),
            ("/../../x", "/"),
            ("/host/path", "/docker/abc"),
        ],
    )
    def test_in_a_container_the_top_of_the_mount_is_ours(self, tree, own, mounted):
        tree.v2(own, mounted).write("sys/fs/cgroup/cpu.max", "100000 100000")
        assert cpu_quota(tree.root) == 1

    def test_cores_are_rounded_up_and_at_least_one(self, tree):
        tree.v2("/").write("sys/fs/cgroup/cpu.max", "20000 100000")
        assert available_cores(root=tree.root) == 1


class TestMemory:
    def test_v2_does_not_count_page_cache(self, tree):
        tree.v2("/job").memory_v2(
            "/job",
            1000 * MIB,
            700 * MIB,
            anon=100 * MIB,
            inactive_file=300 * MIB,
            active_file=200 * MIB,
            slab_reclaimable=50 * MIB,
        )
        assert memory_left(tree.root) == 850 * MIB

    def test_v1_does_not_count_page_cache(self, tree):
        tree.v1("/job").memory_v1(
            "/job",
            1000 * MIB,
            700 * MIB,
            inactive_file=1,
            total_inactive_file=300 * MIB,
            total_active_file=200 * MIB,
        )
        assert memory_left(tree.root) == 800 * MIB

    def test_the_least_left_of_all_ancestors_counts(self, tree):
        tree.v2("/a/b/c")
        tree.memory_v2("/a", 500 * MIB, 450 * MIB)
        tree.memory_v2("/a/b", "max", 400 * MIB)
        tree.memory_v2("/a/b/c", 200 * MIB, 100 * MIB)
        assert memory_left(tree.root) == 50 * MIB

    def test_the_soft_limit_of_v2_counts(self, tree):
        tree.v2("/a").memory_v2("/a", 500 * MIB, 100 * MIB, high=300 * MIB)
        assert memory_left(tree.root) == 200 * MIB

    def test_v1_writes_no_limit_as_a_large_number(self, tree):
        tree.v1("/a").memory_v1("/a", V1_NO_LIMIT, 100 * MIB)
        assert memory_left(tree.root) is None

    def test_more_used_than_allowed_leaves_nothing(self, tree):
        tree.v2("/a").memory_v2("/a", 100 * MIB, 150 * MIB)
        assert memory_left(tree.root) == 0
        assert available_memory(root=tree.root) == 0
        assert num_can_process(num_processes=4, process_size=1, root=tree.root) == 1

    def test_both_versions_at_once(self, tree):
        tree.v1("/a").memory_v1("/a", 300 * MIB, 100 * MIB)
        info = (tree.root / "proc/self/mountinfo").read_text()
        unified = "41 31 0:38 / /sys/fs/cgroup/uni\\040fied rw,relatime - cgroup2 cgroup2 rw"
        tree.write("proc/self/mountinfo", info + unified)
        assert memory_left(tree.root) == 200 * MIB
        tree.memory_v2("/uni fied", 150 * MIB, 100 * MIB)
        assert memory_left(tree.root) == 50 * MIB

    def test_the_fraction_applies_to_what_is_left(self, tree):
        tree.v2("/a").memory_v2("/a", 300 * MIB, 100 * MIB)
        assert available_memory(root=tree.root) == int(0.8 * 200 * MIB)
        assert available_memory(root=tree.root, mem_frac=0.5) == 100 * MIB

    def test_given_memory_replaces_the_fraction_but_is_no_more_than_there_is(self, tree):
        tree.v2("/a").memory_v2("/a", 300 * MIB, 100 * MIB)
        assert available_memory(root=tree.root, mem_available=190 * MIB) == 190 * MIB
        assert available_memory(root=tree.root, mem_available=1000 * MIB) == 200 * MIB

    def test_without_limits_it_is_the_fraction_of_the_machine(self, tmp_path):
        there = psutil.virtual_memory().available
        assert 0.5 * there < available_memory(root=tmp_path) < 0.95 * there


class TestSlurm:
    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("SLURM_CPUS_PER_TASK", "1"),
            ("SLURM_CPUS_ON_NODE", "1"),
            ("SLURM_JOB_CPUS_PER_NODE", "16(x2),1"),
        ],
    )
    def test_cores(self, tmp_path, monkeypatch, name, text):
        monkeypatch.setattr(resources, "_physical_cores", lambda root: 64)
        monkeypatch.setenv(name, text)
        assert available_cores(root=tmp_path) == 1

    def test_the_task_comes_before_the_node(self, tmp_path, monkeypatch):
        monkeypatch.setattr(resources, "_physical_cores", lambda root: 64)
        monkeypatch.setenv("SLURM_JOB_CPUS_PER_NODE", "72(x3)")
        assert available_cores(root=tmp_path) == 64
        monkeypatch.setenv("SLURM_CPUS_ON_NODE", "32")
        assert available_cores(root=tmp_path) == 32
        monkeypatch.setenv("SLURM_CPUS_PER_TASK", "4")
        assert available_cores(root=tmp_path) == 4

    @pytest.mark.parametrize(
        "variables",
        [
            {"SLURM_MEM_PER_NODE": "1000"},
            {"SLURM_MEM_PER_CPU": "250", "SLURM_CPUS_ON_NODE": "4"},
        ],
    )
    def test_memory_is_the_limit_less_our_own(self, tmp_path, monkeypatch, variables):
        for name, text in variables.items():
            monkeypatch.setenv(name, text)
        own = psutil.Process().memory_info().rss
        left = available_memory(root=tmp_path, mem_frac=1)
        assert left == pytest.approx(1000 * MIB - own, abs=20 * MIB)

    def test_zero_memory_means_the_whole_node(self, tmp_path, monkeypatch):
        before = available_memory(root=tmp_path)
        monkeypatch.setenv("SLURM_MEM_PER_NODE", "0")
        assert available_memory(root=tmp_path) > 0.5 * before


class TestCores:
    def test_affinity(self, tmp_path):
        code = (
            "import os\n"
            "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
            "from bmp_astro.core.machine.resources import available_cores\n"
            "print(available_cores())\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=30
        )
        assert done.stdout.strip() == "1", done.stderr

    def test_hardware_threads_of_one_core_count_once(self, tree):
        bound = sorted(os.sched_getaffinity(0))
        if len(bound) < 2:
            pytest.skip("needs two processors")
        for processor in bound:
            topology = f"sys/devices/system/cpu/cpu{processor}/topology/thread_siblings_list"
            tree.write(topology, f"{bound[0]}-{bound[-1]}")
        assert available_cores(root=tree.root) == 1


class TestNumber:
    def test_the_least_of_all_sides(self, tmp_path):
        def number(**kwargs):
            return num_can_process(root=tmp_path, **kwargs)

        assert number() == available_cores(root=tmp_path)
        assert number(num_processes=7) == 7
        assert number(num_processes=7, num_to_process=3) == 3
        assert number(num_processes=7, mem_available=100, process_size=30) == 3
        assert number(num_processes=7, mem_available=100, process_size=30, worker_size=20) == 2
        assert number(num_processes=7, num_to_process=2, mem_available=90, process_size=30) == 2

    def test_positional_order_is_that_of_bigmultipipe(self, tmp_path):
        assert num_can_process(10, 5, 100, 0.8, 25, root=tmp_path) == 4

    def test_never_below_one(self, tmp_path):
        assert num_can_process(num_to_process=0, root=tmp_path) == 1
        assert num_can_process(mem_available=10, process_size=1000, root=tmp_path) == 1
        assert num_can_process(num_processes=0.001, root=tmp_path) == 1

    def test_a_fraction_is_one_of_the_cores(self, tmp_path, monkeypatch):
        monkeypatch.setattr(resources, "_physical_cores", lambda root: 12)
        assert num_can_process(num_processes=0.5, root=tmp_path) == 6

    @pytest.mark.parametrize("name", ["num_processes", "mem_available", "mem_frac", "process_size"])
    @pytest.mark.parametrize("value", [0, "", -1, False, float("nan"), "4"])
    def test_a_given_value_that_is_no_use_is_an_error(self, name, value):
        kwargs = {"process_size": 1, name: value}
        with pytest.raises((ValueError, TypeError), match=name):
            num_can_process(**kwargs)

    def test_a_fraction_above_one_is_an_error(self):
        with pytest.raises(ValueError, match=r"mem_frac is 80"):
            available_memory(mem_frac=80)


class TestPeak:
    def test_grows_with_use_and_can_start_anew(self):
        code = (
            "from bmp_astro.core.machine.resources import peak_memory, reset_peak_memory\n"
            "before = peak_memory()\n"
            "block = b'x' * 100_000_000\n"
            "during = peak_memory()\n"
            "del block\n"
            "print(before, during, reset_peak_memory() and peak_memory())\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=30
        )
        before, during, after = map(int, done.stdout.split())
        assert before < 60_000_000
        assert during - before + 5_000_000 > 100_000_000
        if sys.platform == "linux" and after:
            assert after < 0.7 * during

    def test_is_not_inherited_from_the_parent(self):
        block = bytearray(300_000_000)
        code = "from bmp_astro.core.machine.resources import peak_memory; print(peak_memory())"
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=30
        )
        assert int(done.stdout) < 150_000_000 < len(block)

    def test_at_least_what_is_resident(self):
        assert peak_memory() >= 0.9 * psutil.Process().memory_info().rss
        assert isinstance(reset_peak_memory(), bool)
