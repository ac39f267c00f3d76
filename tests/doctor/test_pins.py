"""Reading a pin through fakes of the three libraries, each with the calls and names of the real one."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace

import pytest

from rpmu.doctor import pins
from rpmu.errors import HardwareError

NAMES = ["P9_11 [uart4_rxd]", None, "P9_12 [gpmc_ben1]", "P9_1"]
LEVELS = [True, False, True]


def gpiod_2():
    module, levels = ModuleType("gpiod"), iter(LEVELS)
    module.line = SimpleNamespace(Direction=SimpleNamespace(INPUT="in"), Value=SimpleNamespace(ACTIVE=1, INACTIVE=0))
    module.LineSettings = lambda direction: direction
    module.is_gpiochip_device = lambda path: path == "/dev/null"

    class Chip:
        def __init__(self, path):
            assert path == "/dev/null"

        def __enter__(self):
            return self

        def __exit__(self, *exception):
            pass

        def get_info(self):
            return SimpleNamespace(num_lines=len(NAMES))

        def get_line_info(self, offset):
            return SimpleNamespace(name=NAMES[offset])

    @contextmanager
    def request_lines(path, consumer, config):
        assert config == {2: "in"}
        yield SimpleNamespace(get_value=lambda offset: int(next(levels)))

    module.Chip, module.request_lines = Chip, request_lines
    return module


def gpiod_1():
    module, levels, released = ModuleType("gpiod"), iter(LEVELS), []
    module.LINE_REQ_DIR_IN = 2
    lines = [
        SimpleNamespace(
            name=lambda name=name: name,
            request=lambda consumer, type: None,
            get_value=lambda: int(next(levels)),
            release=lambda name=name: released.append(name),
        )
        for name in NAMES
    ]
    module.ChipIter = lambda: iter(["chip"])
    module.LineIter = lambda chip: iter(lines)
    module.released = released
    return module


def adafruit():
    module, levels = ModuleType("Adafruit_BBIO.GPIO"), iter(LEVELS)
    module.IN = 0

    def setup(pin, direction):
        if pin != "P9_12":
            raise ValueError(f"{pin} is no pin")

    module.setup, module.input, module.cleanup = setup, lambda pin: int(next(levels)), lambda pin: None
    return module


@pytest.fixture
def install(monkeypatch):
    def put(gpiod=None, bbio=None):
        for name, module in (("gpiod", gpiod), ("Adafruit_BBIO", bbio), ("Adafruit_BBIO.GPIO", bbio)):
            monkeypatch.setitem(sys.modules, name, module)  # None makes the import fail

    return put


@pytest.mark.parametrize("library", [gpiod_2, gpiod_1], ids=["libgpiod 2", "libgpiod 1"])
def test_libgpiod_finds_the_line_by_the_first_word_of_its_name(install, library):
    module = library()
    install(gpiod=module)
    assert pins.read_pin("P9_12", 3, 0) == LEVELS
    assert getattr(module, "released", [NAMES[2]]) == [NAMES[2]]


def test_adafruit_is_asked_where_libgpiod_is_missing(install):
    install(bbio=adafruit())
    assert pins.read_pin("P9_12", 3, 0) == LEVELS


def test_every_backend_says_why_it_cannot(install):
    install(gpiod=gpiod_2(), bbio=adafruit())
    with pytest.raises(HardwareError, match=r"no GPIO line is named P7_7.*P7_7 is no pin"):
        pins.read_pin("P7_7", 1, 0)
    install()
    with pytest.raises(HardwareError, match=r"gpiod is not installed.*python3-libgpiod"):
        pins.read_pin("P9_12", 1, 0)
