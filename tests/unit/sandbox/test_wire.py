"""Frames survive the journey unchanged, and whatever is no proper frame is refused."""

from __future__ import annotations

import os
import socket
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from validator.sandbox import wire
from validator.sandbox.packing import pack_table, unpack_table
from validator.table import Column, Table

DTYPES = st.sampled_from(["<f8", "<f4", "<i8", "<i4", "|u1", "|b1", "<M8[ns]"])
ARRAYS = DTYPES.flatmap(
    lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5))
)
TEXTS = st.lists(st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"]))), max_size=8).map(
    lambda items: np.array([*items, None], dtype=object)[:-1]
)


def through_a_socket(meta, arrays, **limits):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        sender = threading.Thread(target=wire.send, args=(ours.fileno(), meta, arrays))
        sender.start()
        try:
            return wire.receive(theirs.fileno(), time.monotonic() + 10, **limits)
        finally:
            sender.join()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(ARRAYS, TEXTS), max_size=4))
def test_arrays_arrive_as_they_were_sent(arrays):
    meta, received = through_a_socket({"op": "x", "n": 1}, arrays)
    assert meta == {"op": "x", "n": 1}
    assert len(received) == len(arrays)
    for sent, got in zip(arrays, received, strict=True):
        assert got.shape == sent.shape
        assert got.dtype == sent.dtype
        assert got.tobytes() == sent.tobytes() if sent.dtype != object else got.tolist() == sent.tolist()


def test_a_table_keeps_its_categories_and_missing_text():
    table = Table.of(
        [
            Column("number", np.array([1.5, np.nan])),
            Column("text", np.array(["a", None], dtype=object)),
            Column("kind", np.array([1, -1], dtype=np.int32), np.array(["x", "y"], dtype=object)),
        ]
    )
    meta, arrays = pack_table(table)
    meta, arrays = through_a_socket(meta, arrays)
    again = unpack_table(meta, arrays)
    assert again.names == table.names
    assert again.column("kind").decoded().tolist() == ["y", None]
    assert again.column("text").values.tolist() == ["a", None]


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\n" + b"x" * 40,
        wire.PREFIX.pack(wire.MAGIC, wire.MAX_HEADER + 1, 0),
        wire.PREFIX.pack(wire.MAGIC, 2, wire.MAX_BODY + 1) + b"{}",
        wire.PREFIX.pack(wire.MAGIC, 2, 0) + b"[]",
        wire.PREFIX.pack(wire.MAGIC, 2, 0) + b"{}",
        wire.PREFIX.pack(wire.MAGIC, 200_000, 0) + b"[" * 200_000,
        wire.PREFIX.pack(wire.MAGIC, 10, 0) + b'{"a": NaN}',
    ],
    ids=["no magic", "long header", "long body", "list", "no meta", "deep", "nan"],
)
def test_what_is_no_frame_is_refused(data):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        sender = threading.Thread(target=ours.sendall, args=(data,))
        sender.start()
        with pytest.raises(wire.WireError):
            wire.receive(theirs.fileno(), time.monotonic() + 10)
        sender.join()


BAD_SPECS = [
    {"dtype": "<f8", "shape": [3]},
    {"dtype": "<f8", "shape": [-1]},
    {"dtype": "<f8", "shape": [True]},
    {"dtype": "<f8", "shape": [1, 1, 1, 1, 1]},
    {"dtype": "|O", "shape": [1]},
    {"dtype": "object", "shape": [1]},
    {"dtype": "<f8", "shape": [2**39, 2**39]},
    {"dtype": "str", "shape": [1], "bytes": 99},
    {"dtype": "str", "shape": [2], "bytes": 1},
    {"shape": [1]},
    7,
]


@pytest.mark.parametrize("spec", BAD_SPECS, ids=str)
def test_shapes_that_do_not_fit_their_bytes_are_refused(spec):
    with pytest.raises(wire.WireError):
        wire.decode([spec], bytearray(16))


def test_bytes_left_over_are_refused():
    with pytest.raises(wire.WireError, match="more bytes"):
        wire.decode([{"dtype": "<f8", "shape": [1]}], bytearray(16))


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_never_do_worse_than_a_wire_error(data):
    reading, writing = os.pipe()
    try:
        os.write(writing, data)
        os.close(writing)
        with pytest.raises(wire.WireError):
            wire.receive(reading, time.monotonic() + 5)
    finally:
        os.close(reading)


@pytest.mark.parametrize(
    "meta",
    [
        {},
        {"n_rows": 1, "columns": [{"name": "a", "values": 5, "categories": None}]},
        {"n_rows": 3, "columns": [{"name": "a", "values": 0, "categories": None}]},
        {"n_rows": 1, "columns": [{"name": "a", "values": 1, "categories": 0}]},
        None,
    ],
)
def test_tables_that_do_not_fit_are_refused(meta):
    with pytest.raises(wire.WireError):
        unpack_table(meta, [np.array([1.0]), np.array([7], dtype=np.int32)])


def test_a_silent_peer_runs_into_the_deadline():
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(wire.Timeout):
        wire.receive(ours.fileno(), time.monotonic() + 0.05)


def test_a_closed_channel_says_so():
    ours, theirs = socket.socketpair()
    with ours:
        theirs.close()
        with pytest.raises(wire.Closed):
            wire.receive(ours.fileno(), time.monotonic() + 5)


def test_objects_that_are_no_text_become_text_and_nothing_else_is_sent():
    with pytest.raises(wire.WireError, match="cannot be sent"):
        wire.encode({}, [np.array([1 + 2j])])
