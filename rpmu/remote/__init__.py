"""Administration of a board over SSH: one user, a forced command, and a short list of what it lets through.

PC: rpmu --host BOARD config apply FILE          (client)
  -> ssh rpmu-admin@BOARD "config apply -"  < FILE
  -> sshd runs `rpmu-admin-shell`, whatever was asked for   (shell)
  -> the line is split into words and held against a table  (permitted)
  -> rpmu config apply -                                    no shell sees any of it
"""
