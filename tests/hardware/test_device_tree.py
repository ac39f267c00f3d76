"""The device tree, compiled by cpp and dtc (Debian packages cpp and device-tree-compiler), against the wiring table."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib

import pytest

from hardware.tools.parts import HARDWARE

TOOLS = ("cpp", "dtc", "fdtoverlay", "fdtget")
pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, TOOLS)), reason="needs the Debian packages cpp and device-tree-compiler"
)
FOLDER = HARDWARE / "device-tree"
# The parts of the kernel's tree that ours touches, by the kernel's labels and addresses.
BASE = """/dts-v1/;
/ {
    #address-cells = <1>;
    #size-cells = <1>;
    ocp {
        #address-cells = <1>;
        #size-cells = <1>;
        am33xx_pinmux: pinmux@44e10800 { reg = <0x44e10800 0x238>; #pinctrl-cells = <2>; };
        uart4: serial@481a8000 { reg = <0x481a8000 0x2000>; status = "disabled"; };
        gpio1: gpio@4804c000 { reg = <0x4804c000 0x1000>; #gpio-cells = <2>; gpio-controller; };
        epwmss1: epwmss@48302000 {
            #address-cells = <1>;
            #size-cells = <1>;
            reg = <0x48302000 0x10>;
            status = "disabled";
            ehrpwm1: pwm@48302200 { reg = <0x48302200 0x80>; status = "disabled"; };
        };
        tscadc: tscadc@44e0d000 { reg = <0x44e0d000 0x1000>; status = "okay"; };
        pru0: pru@4a334000 { reg = <0x4a334000 0x2000>; };
    };
};
"""


def compiled(source, output, *options, folder=FOLDER):
    """Preprocess and compile; any warning of dtc is an error here."""
    cpp = ["cpp", "-nostdinc", "-undef", "-x", "assembler-with-cpp", "-P", "-I", str(folder)]
    text = subprocess.run([*cpp, "-"], input=source, capture_output=True, text=True, check=True).stdout
    done = subprocess.run(["dtc", *options, "-O", "dtb", "-o", output, "-"], input=text, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture(scope="module", params=["overlay", "merged"])
def tree(request, tmp_path_factory):
    """The tree with ours in it, both ways."""
    folder = tmp_path_factory.mktemp("tree")
    result = folder / "tree.dtb"
    if request.param == "merged":
        (folder / "am335x-boneblack.dts").write_text(BASE)
        (folder / "rpmu.dtsi").write_text((FOLDER / "rpmu.dtsi").read_text())
        compiled((FOLDER / "rpmu-am335x-boneblack.dts").read_text(), result, folder=folder)
        return result
    compiled(BASE, folder / "base.dtb", "-@")
    compiled((FOLDER / "rpmu-overlay.dts").read_text(), folder / "rpmu.dtbo", "-@")
    apply = ["fdtoverlay", "-i", folder / "base.dtb", "-o", result, folder / "rpmu.dtbo"]
    subprocess.run(apply, check=True, capture_output=True)
    return result


def get(tree, node, key, kind="s"):
    done = subprocess.run(["fdtget", "-t", kind, tree, node, key], capture_output=True, text=True, check=True)
    return done.stdout.split()


def path_of_phandle(tree, phandle):
    text = subprocess.run(["dtc", "-q", "-I", "dtb", "-O", "dts", tree], capture_output=True, text=True, check=True)
    nodes = re.findall(r"^\s*([\w@,.-]+) \{|^\s*phandle = <0x0*([0-9a-f]+)>|^\s*(\});?", text.stdout, re.M)
    stack = []
    for name, number, close in ((a, b, c) for a, b, c in nodes):
        if name:
            stack.append(name)
        elif close and stack:
            stack.pop()
        elif number == phandle:
            return stack[-1]
    return None


def wires():
    return tomllib.loads((HARDWARE / "wiring.toml").read_text())["wire"]


def test_pads_are_those_of_the_wiring_table(tree):
    pads = {}
    for group in ("rpmu-uart4-pins", "rpmu-pps-pins", "rpmu-pru-pins", "rpmu-tone-pins"):
        cells = [int(c, 16) for c in get(tree, f"/ocp/pinmux@44e10800/{group}", "pinctrl-single,pins", "x")]
        assert len(cells) % 3 == 0
        pads |= {cells[i]: (cells[i + 2], bool(cells[i + 1] & 0x20)) for i in range(0, len(cells), 3)}
    assert pads == {w["pad"]: (w["mode"], w["input"]) for w in wires() if "pad" in w}


@pytest.mark.parametrize(
    ("node", "group"),
    [
        ("/ocp/serial@481a8000", "rpmu-uart4-pins"),
        ("/ocp/pru@4a334000", "rpmu-pru-pins"),
        ("/rpmu-pps", "rpmu-pps-pins"),
        ("/ocp/epwmss@48302000/pwm@48302200", "rpmu-tone-pins"),
    ],
)
def test_who_owns_which_pins(tree, node, group):
    assert get(tree, node, "pinctrl-names") == ["default"]
    assert path_of_phandle(tree, get(tree, node, "pinctrl-0", "x")[0]) == group


def test_uart_on_and_adc_left_to_the_pru(tree):
    assert get(tree, "/ocp/epwmss@48302000", "status") == ["okay"]
    assert get(tree, "/ocp/epwmss@48302000/pwm@48302200", "status") == ["okay"]
    assert get(tree, "/ocp/serial@481a8000", "status") == ["okay"]
    assert get(tree, "/ocp/tscadc@44e0d000", "status") == ["disabled"]


def test_pps_on_gpio1_28_and_the_ring_for_user_space(tree):
    controller, line, flags = get(tree, "/rpmu-pps", "gpios", "x")
    assert path_of_phandle(tree, controller) == "gpio@4804c000"
    assert (int(line, 16), flags) == (28, "0")
    assert get(tree, "/rpmu-pps", "compatible") == ["pps-gpio"]
    assert get(tree, "/pruss-shared-ram@4a310000", "reg", "x") == ["4a310000", "3000"]


def test_pads_follow_from_the_names_of_the_pins():
    """gpio1 line n of these pins lies at 0x840 + 4 (n - 16), n from 16 (AM335x: gpmc_a0 = gpio1_16, gpmc_ben1 = 28)."""
    gpio = {w["name"]: w["pad"] for w in wires() if w["name"].startswith("GPIO1_")}
    assert gpio == {"GPIO1_28": 0x878 - 0x800, "GPIO1_17": 0x40 + 4 * (17 - 16)}
    pins = [w["pin"] for w in wires()]
    assert len(pins) == len(set(pins))
    assert all(re.fullmatch(r"P[89]\.\d+", p) for p in pins)
