"""Blocks that wait are given back whole and in order, however their array is looked after meanwhile."""

from __future__ import annotations

import numpy as np

from rpmu.gathered import Gathered


def test_channels_in_rows_in_the_order_of_time():
    codes = np.arange(60, dtype=np.uint16).reshape(20, 3)
    gathered = Gathered(3, 20)
    assert [gathered.add(codes[start:end]) for start, end in ((0, 7), (7, 8), (8, 19), (19, 20))] == [0, 0, 0, 1]
    rows = gathered.take()
    assert rows.tolist() == codes.T.tolist()
    assert rows.flags.c_contiguous
    assert gathered.take().shape == (3, 0), "they are taken once"
    assert not gathered.add(codes[:19])


def test_a_block_may_change_once_it_is_in():
    block = np.full((5, 1), 7, np.uint16)
    gathered = Gathered(1, 5)
    gathered.add(block)
    block[:] = 9
    assert gathered.take().tolist() == [[7] * 5]
