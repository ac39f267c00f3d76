"""Waiting loops that the emulator skips ahead: to the cycle what it does when it executes them turn by turn."""

from __future__ import annotations

import random
import zlib
from dataclasses import asdict

import numpy as np
import pytest

from rpmu.acquire import layout
from rpmu.twin.pruss import AdcErrors, AdcEvent, BusTiming, Pruss
from tests.pru import encode as pru
from tests.pru.firmware_rig import SECOND, Rig, Setup
from tests.pru.machine import (
    ADC,
    CLKDIV,
    CLOCK_GATE,
    CTRL,
    CTRL_RUN,
    FIFO0COUNT,
    FIFO0DATA,
    IRQSTATUS,
    OPEN_PORT,
    STEPENABLE,
)

INTC, ADC_EVENT, IRQENABLE_SET = 0x20000, 53, 0x2C


def everything(pruss: Pruss) -> dict[str, object]:
    """All that can be observed of the machine."""
    state: dict[str, object] = {f"r{n}": pruss.register(0, n) for n in range(32)}
    state |= {"pc": pruss.register(0, "pc"), "carry": pruss.register(0, "carry"), "running": pruss.running(0)}
    state |= {name: zlib.crc32(getattr(pruss, name)) for name in ("dram0", "dram1", "shared_ram")}
    return state | asdict(pruss.statistics())


def both(make) -> list:
    """Two of the same, of which the second executes everything."""
    skipping, executing = make(), make()
    executing.pruss.skip_waiting(False)
    return [skipping, executing]


# ---- the firmware ----


@pytest.mark.parametrize("pin", [layout.PPS_PIN_NONE, 14], ids=["no pin", "pin"])
@pytest.mark.parametrize("channels", [1, 6])
def test_firmware(channels, pin):
    """Samples, edges on both inputs, faults; looked at after spans that end anywhere."""

    def rig() -> Rig:
        rig = Rig(Setup(channels, pin=pin, measure_scans=600), adc=AdcErrors(noise_lsb_rms=2.0)).start()
        rig.pulses([0.0011, 0.011, 0.031], width_s=0.005)
        edges = rig.pruss.cycle + np.arange(1, 60) * 170_003.7
        rig.pruss.set_pin_edges(0, 14, edges, np.arange(59) % 2 == 0)
        return rig

    rigs, spans = both(rig), np.random.default_rng(3).integers(1, 300_000, 60)
    for k, span in enumerate(spans):
        if k in (20, 30, 40):
            for rig_ in rigs:
                rig_.inject((AdcEvent.FORCE_OVERRUN, AdcEvent.DROP_WORDS, AdcEvent.STALL)[k // 10 - 2], 1 + k * 100)
        states = []
        for rig_ in rigs:
            rig_.run(float(span) / SECOND)
            states.append(everything(rig_.pruss))
        assert states[0] == states[1], f"after span {k}"
    assert rigs[0].status("RESTARTS") >= 2
    assert rigs[0].status("EVENTS_WRITTEN") >= (10 if pin == 14 else 1)


# ---- loops of all kinds ----


class Machine:
    """An ADC that converts, edges on all pins, and a program: random loops, if none is given."""

    def __init__(self, seed: int, program: list[int] | None = None) -> None:
        rng = random.Random(seed)
        bus = BusTiming(adc_read=rng.choice((41, 60)), external_jitter=rng.choice((0, 0, 0, 19)))
        self.pruss = Pruss(bus, AdcErrors(noise_lsb_rms=1.0), seed)
        self.pruss.set_pulses(0, [0.0], [1.0], 0.0)
        self.pruss.write_word(CLOCK_GATE, 2)
        for offset, value in ((CTRL, CTRL_RUN & ~1), (CLKDIV, 7), (0x64, 1 | 8 << 15), (0x6C, 1 | 8 << 15)):
            self.pruss.write_word(ADC + offset, value)
        self.pruss.write_word(ADC + 0x68, rng.randrange(20))
        for bit in range(30):
            edges = np.cumsum([rng.uniform(0, 3000) for _ in range(60)])
            self.pruss.set_pin_edges(0, bit, edges, np.arange(60) % 2 == rng.randrange(2))
        words = [*OPEN_PORT, *pru.ldi32("r18", ADC), *pru.ldi32("r19", ADC + FIFO0DATA)]
        words += [word for n in range(1, 18) for word in pru.ldi32(f"r{n}", rng.getrandbits(32))]
        words += program or [word for _ in range(40) for word in random_loop(rng)]
        self.pruss.load(0, pru.image(words, pru.halt()))
        for offset, value in ((0x10, 1), (0x28, ADC_EVENT), (0x34, 0)):  # the end of a scan sets bit 30 of R31
            self.pruss.write_word(INTC + offset, value)
        for offset, value in ((IRQENABLE_SET, 2), (CTRL, CTRL_RUN), (STEPENABLE, 6)):
            self.pruss.write_word(ADC + offset, value)
        self.pruss.start(0)


def random_piece(rng: random.Random, counter: str) -> list[int | tuple]:
    """What may stand in a loop: words, or the arguments of a branch whose distance is not known yet."""
    leave = rng.choice(("qbbs", "qbbc"))
    pieces: list[list[int | tuple]] = [
        [(pru.bit_branch, leave, "r31", rng.randrange(30))],
        [(pru.bit_branch, leave, "r31", rng.randrange(30))],
        [(pru.bit_branch, leave, "r31", f"r{rng.randrange(1, 9)}.b1")],
        [(pru.branch, rng.choice(tuple(pru.BRANCHES)), f"r{rng.randrange(1, 9)}.b0", rng.randrange(256))],
        [pru.memory("lbbo", "r26", "r18", FIFO0COUNT, 4), (pru.branch, "qble", "r26.b0", rng.randrange(1, 40))],
        [pru.memory("lbbo", "r26", "r18", FIFO0COUNT, 4), (pru.branch, "qble", "r26.b0", rng.randrange(1, 40))],
        # What must not be skipped:
        [(pru.bit_branch, "qbbs", "r31", rng.choice((30, 31)))],
        [(pru.branch, "qbgt", counter, rng.randrange(3))],
        [pru.memory("sbco", "r20", 24, 0, 4)],
        [pru.memory("lbco", "r11", 26, 0xC, 4)],
        [pru.alu("add", "r9", "r9", 1)],
    ]
    return rng.choice(pieces)


def random_loop(rng: random.Random) -> list[int]:
    """A loop down to 0, entered anywhere; what it left in the FIFO is mostly thrown away."""
    part = rng.choice(("", ".w0", ".w1", ".b0", ".b1", ".b3"))
    counter = f"r{rng.choice((20, 21, 28))}{part}"
    body = [random_piece(rng, counter) for _ in range(rng.randrange(4))]
    body.insert(rng.randint(0, len(body)), [pru.alu("sub", counter, counter, rng.choice((1, 1, 1, 1, 2)))])
    flat = [item for piece in body for item in piece]
    length = len(flat)
    words = [
        item if isinstance(item, int) else item[0](item[1], length + 1 - k, *item[2:]) for k, item in enumerate(flat)
    ]
    turns = rng.randrange(2, 250 if ".b" in part else 3000) & ~1
    count = pru.memory("lbbo", "r26", "r18", FIFO0COUNT, 4)
    drain = (
        []
        if rng.random() < 0.4
        else [count, pru.branch("qbeq", 3, "r26.b0", 0), pru.memory("lbbo", "r10", "r19", 0, 4), pru.qba(-3)]
    )
    return [
        pru.ldi(counter, turns),
        pru.qba(1 + rng.choice((0, 0, rng.randint(0, length)))),
        *words,
        pru.branch("qbne", -length, counter, 0),
        *drain,
    ]


def test_loop_entered_at_its_end():
    """What the loop would load is not yet in the register: the first turn must be executed."""
    wait = [pru.ldi("r20", 5000), pru.alu("sub", "r20", "r20", 1), pru.branch("qbne", -1, "r20", 0)]
    look = [pru.memory("lbbo", "r26", "r18", FIFO0COUNT, 4), pru.branch("qble", 3, "r26.b0", 2)]
    loop = [*look, pru.alu("sub", "r20", "r20", 1), pru.branch("qbne", -3, "r20", 0)]
    words = [*wait, pru.ldi("r26", 0), pru.ldi("r20", 1000), pru.qba(4), *loop]
    machines = both(lambda: Machine(1, words))
    for machine in machines:
        machine.pruss.run_until(40_000)
    assert everything(machines[0].pruss) == everything(machines[1].pruss)
    assert machines[0].pruss.register(0, 20) == 1000


@pytest.mark.parametrize("seed", range(40))
def test_random_loops(seed):
    skipping, executing = both(lambda: Machine(seed))
    rng = random.Random(seed)
    while executing.pruss.running(0):
        until = executing.pruss.cycle + rng.choice((1, 30, 1000, 30_000, 1_000_000))
        states = []
        for machine in (skipping, executing):
            machine.pruss.write_word(ADC + IRQSTATUS, 2)
            machine.pruss.write_word(INTC + 0x24, ADC_EVENT)
            machine.pruss.run_until(until)
            states.append(everything(machine.pruss))
        assert states[0] == states[1]
    assert skipping.pruss.statistics().words_read > 0
