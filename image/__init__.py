"""`make image`: a bootable SD card for the BeagleBone Black, from Debian's packages and this checkout.

The way from package list to card, one module a step, each step cached under a name made from all it is made of:

    packages.toml → lock → archive (fetch, compare with packages.lock) → root (mmdebstrap)
      → kernel (modules of the PRU, device tree) → initramfs → tree (rpmu and its settings) → card (partitions)

Everything is written into files; nothing is mounted from a loop device. `python -m image --help` lists the steps.
None of it has been started on a board: the root file system boots in an emulator, the boot loader has run nowhere.
"""
