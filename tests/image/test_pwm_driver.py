"""The self-test's PWM on the card: what Debian's locked kernel has of it, and whether the image would load it.

The kernel's configuration is read from the package that the lock file names, the rest from the newest root tree and
device tree of `make image`; each test says what it misses where the cache is empty.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import tarfile
from functools import cache

import pytest

from image.cache import default_folder
from image.lock import parse
from image.plan import LOCK_FILE
from rpmu.calibrate.pwm import EHRPWM1

DRIVER, COMPATIBLE = "pwm_tiehrpwm", "ti,am3352-ehrpwm"
NODE = "/ocp/interconnect@48000000/segment@300000/target-module@2000/epwmss@0/pwm@200"


def locked_kernel():
    """Name and version of the kernel's package in the lock file."""
    package = parse(LOCK_FILE.read_text(), LOCK_FILE.name).the(r"linux-image-\d.*")
    return package.name, package.version


@cache
def configuration():
    """Setting to value of the card's kernel."""
    name, version = locked_kernel()
    file = default_folder() / "archive" / "debs" / f"{name}_{version}_armhf.deb"
    if not file.exists() or shutil.which("dpkg-deb") is None:
        pytest.skip(f"{file.name} is not in the cache of `make image`")
    packed = subprocess.run(["dpkg-deb", "--fsys-tarfile", file], capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        text = tar.extractfile(f"./boot/config-{name.removeprefix('linux-image-')}").read().decode()
    return dict(re.findall(r"^(CONFIG_\w+)=(.*)$", text, re.M))


def newest(pattern, what):
    """The newest result of a step of `make image` with the locked kernel."""
    version = locked_kernel()[0].removeprefix("linux-image-")
    found = [path for path in default_folder().glob(pattern) if version in str(path) or what == "device tree"]
    if not found:
        pytest.skip(f"no {what} with kernel {version} in the cache (make image)")
    return max(found, key=lambda path: path.stat().st_mtime)


def test_the_kernel_has_the_driver():
    """The driver as a module; what must be there before it, and the files in /sys/class/pwm, built in."""
    settings = configuration()
    assert settings["CONFIG_PWM_TIEHRPWM"] in ("y", "m")
    built_in = ("CONFIG_TI_SYSC", "CONFIG_TI_PWMSS", "CONFIG_PWM", "CONFIG_SYSFS", "CONFIG_MODULES")
    assert {name: settings.get(name) for name in built_in} == dict.fromkeys(built_in, "y")
    assert "CONFIG_MODULE_SIG_FORCE" not in settings


def test_the_image_would_load_it():
    """As udev does: the device tree's compatible leads to the module by its alias, and the module is there whole."""
    modules = newest("tree-*/usr/lib/modules/*/modules.alias", "root tree").parent
    aliases = dict(re.findall(r"^alias (\S+) (\S+)$", (modules / "modules.alias").read_text(), re.M))
    assert aliases[f"of:N*T*C{COMPATIBLE}"] == DRIVER
    needs = dict(line.split(":") for line in (modules / "modules.dep").read_text().splitlines())
    (entry,) = [name for name in needs if re.search(r"/pwm-tiehrpwm\.ko(\.xz)?$", name)]
    for name in (entry, *needs[entry].split()):
        assert (modules / name).stat().st_size > 1000, name
    built_in = (modules / "modules.builtin").read_text()
    assert "/ti-sysc.ko\n" in built_in
    assert "/ti-pwmss.ko\n" in built_in
    root = modules.parents[3]
    assert (root / "usr/lib/systemd/systemd-udevd").is_symlink() or (root / "usr/bin/udevadm").exists()
    rules = (root / "usr/lib/udev/rules.d/80-drivers.rules").read_text()
    assert 'ENV{MODALIAS}=="?*"' in rules, "udev loads by alias"
    listed = [path for path in (root / "etc/modprobe.d").glob("*.conf") if DRIVER in path.read_text().replace("-", "_")]
    assert listed == [], "and nobody forbids it"


@pytest.mark.skipif(shutil.which("fdtget") is None, reason="needs the package device-tree-compiler")
def test_the_device_tree_of_the_card_has_the_pwm_on():
    """Ours merged into Debian's: clocks and pins are there, and the device gets the name that `find_pwm` asks for."""
    tree = newest("device-tree-*/*.dtb", "device tree")

    def get(node, key, kind="s"):
        words = ["fdtget", "-t", kind, tree, node, key]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()

    assert get(NODE, "compatible") == [COMPATIBLE]
    assert get(NODE, "clock-names") == ["tbclk", "fck"]
    assert get(NODE, "status") == get(NODE.rpartition("/")[0], "status") == ["okay"]
    pins = get("/__symbols__", "rpmu_tone_pins")
    assert get(pins[0], "pinctrl-single,pins", "x") == ["48", "8", "6"]
    # the kernel names a device by its address as the processor sees it: every folder's ranges move it
    address = int(get(NODE, "reg", "x")[0], 16)
    for folder in (NODE.rsplit("/", count)[0] for count in range(1, 5)):
        cells = [int(cell, 16) for cell in get(folder, "ranges", "x")]
        spans = zip(cells[::3], cells[1::3], cells[2::3], strict=True)
        address = next(parent + address - child for child, parent, size in spans if child <= address < child + size)
    assert f"{address:x}.pwm" == EHRPWM1
