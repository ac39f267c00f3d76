"""remoteproc and UIO against a fake sysfs tree and fake memory files: the same code path as on a board."""

from __future__ import annotations

import asyncio
import mmap
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from rpmu.acquire import RingReader, SamplerSettings, layout, sampler, uio
from rpmu.acquire.detect import detect_link
from rpmu.acquire.remoteproc import FIRMWARE_NAME, RemoteprocLink
from rpmu.acquire.uio import UioLink
from rpmu.errors import HardwareError
from tests.acquire.fake_pru import FakeLink, FakePru

SHARED_RAM = 0x4A310000
CODE = np.arange(1, 101, dtype=np.uint32).tobytes()


def sparse(path, size):
    """A file of so many bytes that takes no room."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.truncate(size)


def mapped(path, offset, size):
    with path.open("r+b") as file:
        return mmap.mmap(file.fileno(), size, offset=offset)


def add_uio(root, number, address, size, map_index=0):
    """A UIO device with one map, as sysfs and /dev show it."""
    folder = root / f"sys/class/uio/uio{number}/maps/map{map_index}"
    folder.mkdir(parents=True)
    (folder / "addr").write_text(f"{address:#010x}\n")
    (folder / "size").write_text(f"{size:#010x}\n")
    device = root / f"dev/uio{number}"
    sparse(device, (map_index + 1) * mmap.PAGESIZE + size)
    return device


class FakeKernel:
    """Lets a folder of plain files answer writes to `state` as remoteproc's sysfs does."""

    def __init__(self, root, monkeypatch):
        self.root, self.refuse, self.crash = root, False, False
        self.written = []
        for number, name in enumerate(("wkup_m3", "4a334000.pru", "4a338000.pru")):
            folder = root / f"sys/class/remoteproc/remoteproc{number}"
            folder.mkdir(parents=True)
            for file, text in (("name", name), ("state", "offline"), ("firmware", "am335x-pru0-fw")):
                (folder / file).write_text(text + "\n")
        (root / "lib/firmware").mkdir(parents=True)
        self.core = root / "sys/class/remoteproc/remoteproc1"
        plain = Path.write_text

        def write_text(path, text, *args, **kwargs):
            if path.name == "state" and root in path.parents:
                self.written.append((path.parent.name, text))
                if self.refuse:
                    raise OSError(22, "Invalid argument")
                text = "offline" if text == "stop" else "crashed" if self.crash else "running"
            return plain(path, text + "\n", *args, **kwargs)

        monkeypatch.setattr(Path, "write_text", write_text)


@pytest.fixture
def kernel(tmp_path, monkeypatch):
    return FakeKernel(tmp_path, monkeypatch)


def test_remoteproc_installs_names_starts_and_stops(kernel):
    link = RemoteprocLink(root=kernel.root)
    link.load(b"\x7fELF image")
    assert (kernel.root / "lib/firmware" / FIRMWARE_NAME).read_bytes() == b"\x7fELF image"
    assert (kernel.core / "firmware").read_text().strip() == FIRMWARE_NAME
    link.start()
    link.load(b"\x7fELF other")
    link.start()
    link.close()
    assert kernel.written == [("remoteproc1", word) for word in ("start", "stop", "start", "stop")]


def test_remoteproc_second_core_by_name(kernel):
    RemoteprocLink(core=1, root=kernel.root).start()
    assert kernel.written == [("remoteproc2", "start")]


def test_remoteproc_does_not_rewrite_an_installed_image(kernel):
    target = kernel.root / "lib/firmware" / FIRMWARE_NAME
    target.write_bytes(CODE)
    before = target.stat().st_mtime_ns
    RemoteprocLink(root=kernel.root).load(CODE)
    assert target.stat().st_mtime_ns == before


def test_remoteproc_start_refused_by_the_kernel(kernel):
    kernel.refuse = True
    with pytest.raises(HardwareError, match=r"refused 'start'.*Invalid argument.*dmesg"):
        RemoteprocLink(root=kernel.root).start()


def test_remoteproc_that_crashes_at_start(kernel):
    kernel.crash = True
    with pytest.raises(HardwareError, match="'crashed' after its start"):
        RemoteprocLink(root=kernel.root).start()


def test_remoteproc_without_firmware_folder(kernel):
    (kernel.root / "lib/firmware").rmdir()
    with pytest.raises(HardwareError, match="cannot put the firmware into"):
        RemoteprocLink(root=kernel.root).load(CODE)


def test_remoteproc_without_the_driver(tmp_path):
    with pytest.raises(HardwareError, match=r"4a334000\.pru: load the modules"):
        RemoteprocLink(root=tmp_path).load(CODE)


def test_whole_chain_over_remoteproc_and_dev_mem(kernel, monkeypatch):
    memory = kernel.root / "dev/mem"
    sparse(memory, SHARED_RAM + layout.SHARED_RAM_BYTES)
    firmware = FakeLink(pru=FakePru(memory=mapped(memory, SHARED_RAM, layout.SHARED_RAM_BYTES)))
    image = kernel.root / "images" / "sampler.elf"
    image.parent.mkdir()
    image.write_bytes(CODE)
    monkeypatch.setattr("rpmu.acquire.link.IMAGE_FOLDER", image.parent)
    link = detect_link(root=kernel.root)
    assert isinstance(link, RemoteprocLink)

    async def pace(seconds):
        firmware.pru.set_status(layout.STATUS_MAGIC, layout.LAYOUT_MAGIC)
        await firmware.pace(seconds)

    info = asyncio.run(sampler.bring_up(link, SamplerSettings(), pace))
    reader = RingReader(link.window(), info)
    firmware.pru.write_blocks(5)
    assert reader.poll()[0].codes.shape == (320, 1)
    link.close()


def test_a_generic_uio_node_is_preferred_to_dev_mem(kernel):
    device = add_uio(kernel.root, 3, SHARED_RAM, layout.SHARED_RAM_BYTES, map_index=1)
    pru = FakePru(memory=mapped(device, mmap.PAGESIZE, layout.SHARED_RAM_BYTES))
    window = RemoteprocLink(root=kernel.root).window()
    assert (window.format, len(window)) == ("I", 3072)
    pru.beat()
    assert window[layout.STATUS_HEARTBEAT // 4] == 1
    window[layout.PARAMS_OFFSET // 4] = 7
    assert pru.window[layout.PARAMS_OFFSET // 4] == 7


def test_no_window_says_what_to_do(kernel):
    with pytest.raises(HardwareError, match=r"dev/mem: No such file.*generic-uio"):
        RemoteprocLink(root=kernel.root).window()


def test_dev_mem_too_short_says_what_to_do(kernel):
    sparse(kernel.root / "dev/mem", 4096)
    with pytest.raises(HardwareError, match=r"cannot map 12288 bytes.*generic-uio"):
        RemoteprocLink(root=kernel.root).window()


@pytest.fixture
def pruss(tmp_path):
    """The 512 kB of a PRUSS behind a UIO device, as words."""
    device = add_uio(tmp_path, 0, 0x4A300000, 0x80000)
    return np.frombuffer(mapped(device, 0, 0x80000), np.uint32)


@pytest.mark.parametrize(("core", "program", "control"), [(0, 0x34000, 0x22000), (1, 0x38000, 0x24000)])
def test_uio_loads_and_starts_by_registers(tmp_path, pruss, core, program, control):
    link = UioLink(core=core, root=tmp_path)
    pruss[control // 4] = 3
    link.load(CODE)
    assert pruss[control // 4] == 1, "loading must halt the core"
    assert pruss[program // 4 : program // 4 + 100].tobytes() == CODE
    link.start()
    assert pruss[control // 4] == 3
    link.stop()
    assert pruss[control // 4] == 1


def test_uio_reset_precedes_the_start(tmp_path, pruss, monkeypatch):
    link = UioLink(root=tmp_path)
    link.load(CODE)
    values = []
    monkeypatch.setattr(link, "_control", values.append)
    link.start()
    assert values == [0, 3]


def test_uio_window_is_the_shared_ram(tmp_path, pruss):
    window = UioLink(root=tmp_path).window()
    pruss[0x10000 // 4 + 5] = 0xDEADBEEF
    assert (window.format, len(window), window[5]) == ("I", 3072, 0xDEADBEEF)


@pytest.mark.parametrize("image", [b"", b"\x7fELF!", bytes(0x2004)])
def test_uio_refuses_what_is_no_program(tmp_path, pruss, image):
    with pytest.raises(HardwareError, match=r"needs the \.bin"):
        UioLink(root=tmp_path).load(image)


def test_uio_without_a_device(tmp_path):
    with pytest.raises(HardwareError, match="AM335X-PRU-UIO"):
        UioLink(root=tmp_path).load(CODE)


def test_uio_started_without_an_image(tmp_path, pruss):
    with pytest.raises(HardwareError, match="without an image"):
        UioLink(root=tmp_path).start()


def fake_pypruss():
    module = ModuleType("pypruss")
    module.calls = []

    def exec_program(core, path):
        module.calls.append(("exec_program", core, Path(path).read_bytes()))

    module.exec_program = exec_program
    for name in ("init", "open", "pru_disable", "exit"):
        setattr(module, name, lambda *args, name=name: module.calls.append((name, *args)))
    return module


def test_pypruss_loads_and_starts_where_it_is_installed(tmp_path, pruss, monkeypatch):
    pypruss = fake_pypruss()
    monkeypatch.setattr(uio.importlib, "import_module", {"pypruss": pypruss}.__getitem__)
    link = UioLink(root=tmp_path)
    link.load(CODE)
    link.start()
    link.close()
    assert pypruss.calls == [
        ("init",),
        ("open", 0),
        ("exec_program", 0, CODE),
        ("pru_disable", 0),
        ("exit",),
    ]
    assert not pruss.any(), "registers and program memory are pypruss's business"


def test_another_package_called_pypruss_is_not_used(tmp_path, pruss, monkeypatch):
    monkeypatch.setattr(uio.importlib, "import_module", lambda name: ModuleType(name))
    link = UioLink(root=tmp_path)
    link.load(CODE)
    assert pruss[0x34000 // 4] == 1


def test_detect_prefers_remoteproc_then_uio(kernel):
    add_uio(kernel.root, 0, 0x4A300000, 0x80000)
    assert isinstance(detect_link(root=kernel.root), RemoteprocLink)
    (kernel.core / "name").write_text("something else")
    assert isinstance(detect_link(root=kernel.root), UioLink)


def test_a_backend_that_was_asked_for_is_used_and_says_what_it_misses(kernel):
    link = detect_link("uio", kernel.root)
    assert isinstance(link, UioLink)
    with pytest.raises(HardwareError, match="AM335X-PRU-UIO"):
        link.load(CODE)
    assert isinstance(detect_link("remoteproc", kernel.root / "elsewhere"), RemoteprocLink)


def test_detect_on_a_pc_says_what_is_missing(tmp_path):
    with pytest.raises(HardwareError, match=r"no PRU found: .*pru_rproc.*rpmu twin") as caught:
        detect_link(root=tmp_path)
    assert caught.value.exit_code == 4
