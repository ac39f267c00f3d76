"""What the daemon costs on the board, counted in instructions: `make bench-target`.

Nothing here knows how long an instruction takes; counts repeat exactly, on any machine and under any load, so a change
that makes the daemon dearer by a few percent is seen at once. `__main__` runs on the host: it unpacks Debian's Python
for the target (`unpack-python`), records a stretch of the twin, and runs `guest` under qemu-arm with the plugin
`counter.c`. `guest` is the daemon itself, played that recording at the pace of the board.
"""
