"""A disk that loses power: everything that was not synced may be done, half done or undone afterwards.

Unsynced content survives whole, in part, or not at all. Of the unsynced changes of a folder's names any subset survives
(POSIX promises no order). The cut comes before a given operation.
"""

from __future__ import annotations

import random


class PowerCutError(Exception):
    pass


class SimDisk:
    def __init__(self, cut_before=None, names=None, contents=None):
        self.cut_before = cut_before  # number of the operation that does not happen any more
        self.operations = 0
        self.durable_names = dict(names or {})  # name -> ("file", inode) or ("link", target)
        self.durable_contents = dict(contents or {})  # inode -> bytes
        self.seen_names = dict(self.durable_names)
        self.seen_contents = dict(self.durable_contents)
        self.unsynced = []  # (folder, {name: entry or None})
        self.next_inode = max(self.durable_contents, default=0) + 1

    def _operate(self):
        if self.cut_before is not None and self.operations >= self.cut_before:
            raise PowerCutError
        self.operations += 1

    def _change(self, changes):
        folder = next(iter(changes)).rpartition("/")[0]
        self.unsynced.append((folder, changes))
        self._do(self.seen_names, changes)

    @staticmethod
    def _do(names, changes):
        for name, entry in changes.items():
            if entry is None:
                names.pop(name, None)
            else:
                names[name] = entry

    # ---- what programs see ----

    def read(self, name):
        kind, what = self.seen_names.get(name, (None, None))
        return self.read(what) if kind == "link" else self.seen_contents[what] if kind == "file" else None

    def names(self, folder):
        prefix = f"{folder}/" if folder else ""
        return sorted(n[len(prefix) :] for n in self.seen_names if n.startswith(prefix) and "/" not in n[len(prefix) :])

    def target(self, name):
        kind, what = self.seen_names.get(name, (None, None))
        return what if kind == "link" else None

    def write(self, name, content):
        self._operate()
        inode, self.next_inode = self.next_inode, self.next_inode + 1
        self._change({name: ("file", inode)})
        self.seen_contents[inode] = content

    def link(self, name, target):
        self._operate()
        self._change({name: ("link", target)})

    def rename(self, old, new):
        self._operate()
        self._change({new: self.seen_names[old], old: None})

    def remove(self, name):
        self._operate()
        if name in self.seen_names:
            self._change({name: None})

    def sync(self, name):
        self._operate()
        inode = self.seen_names[name][1]
        self.durable_contents[inode] = self.seen_contents[inode]

    def sync_folder(self, folder):
        self._operate()
        for where, changes in self.unsynced:
            if where == folder:
                self._do(self.durable_names, changes)
        self.unsynced = [(where, changes) for where, changes in self.unsynced if where != folder]

    # ---- what the power cut leaves ----

    def after_power_cut(self, seed):
        chance = random.Random(seed)
        names, contents = dict(self.durable_names), dict(self.durable_contents)
        for _, changes in self.unsynced:
            if chance.random() < 0.5:
                self._do(names, changes)
        for inode, content in self.seen_contents.items():
            if inode not in contents:
                contents[inode] = content[: chance.choice([0, len(content) // 2, len(content)])]
        names = {name: entry for name, entry in names.items() if entry[0] == "link" or entry[1] in contents}
        return SimDisk(names=names, contents=contents)
