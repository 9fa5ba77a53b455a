"""The two pipelines of the BigMultiPipe documentation, with the results printed there."""

import os

import numpy as np
import pytest

from bmp_astro import BigMultiPipe, prune_pout

PRINTED = [
    (
        f"big_array_{i}.npy",
        f"big_array_{i}_bmp.npy",
        {"median": 10.0 * i + 5 * (i == 3), "average": 10.0 * i + 5 * (i == 3)},
    )
    for i in range(10)
    if i != 2
]


class DemoMultiPipe1(BigMultiPipe):
    def file_read(self, in_name, **kwargs):
        data = np.load(in_name)
        return data

    def file_write(self, data, outname, **kwargs):
        np.save(outname, data)
        return outname

    def data_process_meta_create(
        self, data, reject_value=None, boost_target=None, boost_amount=0, **kwargs
    ):
        if reject_value is not None and data[0, 0] == reject_value:
            return (None, {})
        flag_to_boost_later = boost_target is not None and data[0, 0] == boost_target
        data = data * 10
        if flag_to_boost_later:
            data = data + boost_amount
        meta = {"median": np.median(data), "average": np.average(data)}
        return (data, meta)


def reject(data, reject_value=None, **kwargs):
    if reject_value is None:
        return data
    if data[0, 0] == reject_value:
        return None
    return data


def boost_later(data, boost_target=None, boost_amount=None, **kwargs):
    if boost_target is None or boost_amount is None:
        return data
    if data[0, 0] == boost_target:
        add_kwargs = {"need_to_boost_by": boost_amount}
        retval = {"bmp_data": data, "bmp_kwargs": add_kwargs}
        return retval
    return data


def later_booster(data, need_to_boost_by=None, **kwargs):
    if need_to_boost_by is not None:
        data = data + need_to_boost_by
    return data


def median(data, bmp_meta=None, **kwargs):
    median = np.median(data)
    if bmp_meta is not None:
        bmp_meta["median"] = median
    return data


def average(data, bmp_meta=None, **kwargs):
    av = np.average(data)
    local_meta = {"average": av}
    if bmp_meta is not None:
        bmp_meta.update(local_meta)
    return data


class DemoMultiPipe2(BigMultiPipe):
    def file_read(self, in_name, **kwargs):
        data = np.load(in_name)
        return data

    def file_write(self, data, outname, **kwargs):
        np.save(outname, data)
        return outname

    def data_process(self, data, **kwargs):
        return data * 10


@pytest.fixture
def in_names(tmp_path):
    """Ten arrays, the number i everywhere in the i-th."""
    names = []
    for i in range(10):
        outname = os.path.join(tmp_path, f"big_array_{i}.npy")
        np.save(outname, i + np.zeros((20, 30)))
        names.append(outname)
    return names


def as_printed(pout, in_names):
    pruned_pout, pruned_in_names = prune_pout(pout, in_names)
    pruned_outnames, pruned_meta = zip(*pruned_pout, strict=True)
    pruned_outnames = [os.path.basename(f) for f in pruned_outnames]
    pruned_in_names = [os.path.basename(f) for f in pruned_in_names]
    return list(zip(pruned_in_names, pruned_outnames, pruned_meta, strict=True))


@pytest.mark.parametrize("executor", ["process", "thread", "serial"])
def test_everything_in_a_subclass(in_names, tmp_path, executor):
    dmp = DemoMultiPipe1(boost_target=3, outdir=str(tmp_path), executor=executor)
    pout = dmp.pipeline(in_names, reject_value=2, boost_amount=5)
    assert as_printed(pout, in_names) == PRINTED


@pytest.mark.parametrize("executor", ["process", "thread", "serial"])
def test_step_lists(in_names, tmp_path, executor):
    dmp = DemoMultiPipe2(
        pre_process_list=[reject, boost_later],
        post_process_list=[later_booster, median, average],
        boost_target=3,
        outdir=str(tmp_path),
        executor=executor,
    )
    pout = dmp.pipeline(in_names, reject_value=2, boost_amount=5)
    assert as_printed(pout, in_names) == PRINTED
    assert (np.load(tmp_path / "big_array_3_bmp.npy") == 35.0).all()
    assert not (tmp_path / "big_array_2_bmp.npy").exists()
