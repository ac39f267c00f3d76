"""The generated layout agrees with the header, and the header with itself."""

from __future__ import annotations

import pytest

from rpmu.acquire import layout
from rpmu.acquire.generate_layout import HEADER, MODULE, parse, render
from rpmu.errors import InputError


def test_committed_module_is_what_the_header_says():
    assert render(parse(HEADER.read_text())) == MODULE.read_text(), "run `python -m rpmu.acquire.generate_layout`"


@pytest.mark.parametrize("dtype", [layout.STATUS, layout.PARAMS, layout.EVENT, layout.BLOCK_HEADER])
def test_fields_are_aligned_and_do_not_overlap(dtype):
    end = 0
    for name in dtype.names:
        kind, offset = dtype.fields[name][:2]
        assert offset % 4 == 0
        assert offset >= end, f"{name} overlaps the field before it"
        end = offset + kind.itemsize
    assert end <= dtype.itemsize


def test_regions_follow_each_other_inside_the_shared_ram():
    assert layout.STATUS_OFFSET + layout.STATUS_BYTES <= layout.PARAMS_OFFSET
    assert layout.PARAMS_OFFSET + layout.PARAMS_BYTES <= layout.EVENTS_OFFSET
    assert layout.EVENTS_OFFSET + layout.EVENT_SLOTS * layout.EVENT_BYTES <= layout.RING_OFFSET
    widest_block = layout.BLOCK_HEADER_BYTES + 2 * layout.MAX_CHANNELS * layout.BLOCK_SAMPLES
    assert layout.RING_OFFSET + 2 * widest_block <= layout.SHARED_RAM_BYTES


def test_a_wider_field_keeps_its_shape():
    assert layout.PARAMS["ain"].shape == (layout.MAX_STEPS,)
    assert layout.EVENT["data"].shape == (layout.EVENT_SAMPLES,)
    assert layout.EVENT_DATA + 2 * layout.EVENT_SAMPLES == layout.EVENT_BYTES


def test_sums_of_earlier_names_are_followed():
    text = "#define FIRST 0x10 /* a */\n#define SECOND (FIRST + 4)\n"
    assert {name: constant.value for name, constant in parse(text).items()} == {"FIRST": 16, "SECOND": 20}


def test_an_unknown_name_is_refused_with_its_line():
    with pytest.raises(InputError, match=r"layout\.h:2: 'SIZE'"):
        parse("#define FIRST 1\n#define SECOND SIZE\n")
