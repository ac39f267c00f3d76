"""Signed updates of the package on a board, with a way back.

PC: rpmu --host BOARD update FILE.deb      (remote.client: FILE.deb.sig and FILE.deb, one after the other)
  -> forced command `rpmu update -`         (rpmu-admin: `request` spools it, starts the worker, follows)
  -> rpmu-update@install.service            (root: `worker` checks the signature, installs, examines, or goes back)
  -> rpmu-update-recover.service            (root, at boot before the daemon: `worker` goes back after a power cut)

The signature is OpenSSH's (`ssh-keygen -Y sign`): ssh-keygen is on every board that can be reached by SSH, so updates
bring in no further program, and the publisher may sign with any SSH key, an agent or a hardware token.
"""
