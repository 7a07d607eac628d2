"""What nvidia-smi says becomes lanes, and a lane becomes what a worker may see."""

import os
import stat
import subprocess
import sys

from core.jobs.devices import accelerators, as_seen, uuids, worker_environment

TWO = "GPU 0: NVIDIA X (UUID: GPU-aa)\nGPU 1: NVIDIA X (UUID: GPU-bb)\n"
DIVIDED = (
    "GPU 0: NVIDIA X (UUID: GPU-aa)\n"
    "  MIG 1g.10gb     Device  0: (UUID: MIG-11)\n"
    "  MIG 1g.10gb     Device  1: (UUID: MIG-22)\n"
    "GPU 1: NVIDIA X (UUID: GPU-bb)\n"
)


def speaking(tmp_path, monkeypatch, text, status=0):
    """An nvidia-smi of our own, first on the path."""
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!{sys.executable}\nprint({text!r}, end='')\nraise SystemExit({status})\n")
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)


def test_each_gpu_is_a_lane_and_parts_of_a_divided_one_stand_in_its_place():
    assert uuids(TWO) == ["GPU-aa", "GPU-bb"]
    assert uuids(DIVIDED) == ["MIG-11", "MIG-22", "GPU-bb"]
    assert uuids("No devices were found\n") == []


def test_without_a_driver_there_is_no_accelerator(tmp_path, monkeypatch):
    monkeypatch.setattr("core.jobs.devices.platform.system", lambda: "Linux")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert accelerators({}) == {}
    speaking(tmp_path, monkeypatch, "NVIDIA-SMI has failed\n", status=9)
    assert accelerators({}) == {}


def test_devices_are_named_by_number_and_an_earlier_choice_is_obeyed(tmp_path, monkeypatch):
    monkeypatch.setattr("core.jobs.devices.platform.system", lambda: "Linux")
    speaking(tmp_path, monkeypatch, TWO)
    assert accelerators({}) == {"cuda:0": "GPU-aa", "cuda:1": "GPU-bb"}
    assert accelerators({"CUDA_VISIBLE_DEVICES": "1"}) == {"cuda:0": "1"}
    assert accelerators({"CUDA_VISIBLE_DEVICES": ""}) == {} == accelerators({"CUDA_VISIBLE_DEVICES": "-1"})


def test_a_worker_sees_only_the_gpu_it_was_given_and_calls_it_cuda():
    gpus = {"cuda:0": "GPU-aa", "cuda:1": "GPU-bb"}
    told = worker_environment("cuda:1", "cuda:1", gpus)
    assert told == {"WINNOW_DEVICE": "cuda:1", "CUDA_VISIBLE_DEVICES": "GPU-bb"}
    assert as_seen("cuda:1", told) == "cuda"
    assert as_seen("auto", told) == "auto" and as_seen("cuda", told) == "cuda"


def test_a_job_for_the_cpu_sees_no_gpu_and_one_for_an_unknown_device_sees_all():
    assert worker_environment("cpu", "cpu", {})["CUDA_VISIBLE_DEVICES"] == ""
    assert "CUDA_VISIBLE_DEVICES" not in worker_environment("cpu", "cuda:7", {"cuda:0": "GPU-aa"})
    assert as_seen("cuda:7", {"WINNOW_DEVICE": "cpu"}) == "cuda:7"


def test_the_supervisor_knows_its_devices_without_torch():
    code = "import sys, core.jobs.supervisor as s; s.accelerators(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
