"""What the header says besides its text: asked for anew for every header, and nothing else changes."""

from __future__ import annotations

from rpmu.c37118 import Command, decode
from rpmu.serve.stream import Stream
from tests.serve.rig import make_config


def test_every_header_has_the_news_of_its_moment():
    news = iter(["; one", "; a second, longer µ"])
    stream = Stream(make_config(), "text", 2, 60, lambda: next(news))
    assert [decode(stream.answer(Command.SEND_HEADER)[0]).text for _ in range(2)] == [
        "text; one",
        "text; a second, longer µ",
    ]
    plain = Stream(make_config(), "text", 2, 60)
    assert stream.answer(Command.SEND_CONFIG_2) == plain.answer(Command.SEND_CONFIG_2)
    assert decode(plain.answer(Command.SEND_HEADER)[0]).text == "text"
