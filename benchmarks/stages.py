"""Reduce a night, and print the seconds since the process began that each stage ended at."""

import json
import sys
import time

import psutil

_BEGAN = psutil.Process().create_time()


def main(raw: str, out: str) -> None:
    """Wrap the stages of `bmp_astro.reduce_night` in clocks."""
    ends = {"interpreter": time.time() - _BEGAN}
    from bmp_astro.night import reduction

    ends["imports"] = time.time() - _BEGAN
    survey, lights, masters = reduction.survey, reduction.reduce_lights, reduction.build_masters

    def timed_survey(*args: object, **kwargs: object) -> object:
        found = survey(*args, **kwargs)
        ends["inventory"] = time.time() - _BEGAN
        return found

    def timed_masters(kind: str, *args: object, **kwargs: object) -> object:
        ends.setdefault("plan", time.time() - _BEGAN)
        yield from masters(kind, *args, **kwargs)
        ends[f"master {kind}"] = time.time() - _BEGAN

    def timed_lights(*args: object, **kwargs: object) -> object:
        yield from lights(*args, **kwargs)
        ends["lights"] = time.time() - _BEGAN

    reduction.survey, reduction.reduce_lights = timed_survey, timed_lights
    reduction.build_masters = timed_masters
    reduction.reduce_night(raw, out)
    ends["tables"] = time.time() - _BEGAN
    print(json.dumps(ends))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
