"""Read all bytes of a night and write as many as its products have: what the disk allows."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

CHUNK = 2**23


def _read(path: Path) -> int:
    buffer = memoryview(bytearray(CHUNK))
    total = 0
    with open(path, "rb", buffering=0) as file:
        while count := file.readinto(buffer):
            total += count
    return total


def _write(path: Path, size: int) -> None:
    buffer = memoryview(bytes(CHUNK))
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    while size > 0:
        size -= os.write(descriptor, buffer[: min(size, CHUNK)])
    os.close(descriptor)


def main(raw: str, out: str, sizes: list[int]) -> None:
    """Copy with two threads: first all reading, then all writing."""
    folder = Path(out)
    folder.mkdir(parents=True)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(_read, sorted(Path(raw).iterdir())))
        names = [folder / f"{index}.fits" for index in range(len(sizes))]
        list(pool.map(_write, names, sizes))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], [int(size) for size in sys.argv[3:]])
