#!/usr/bin/env python3
"""Writes a family of tiny models that use every block of the manifest, for tests.

    python3 make.py        (needs onnx and numpy)

Input is [1,3,16,16] of RGB 0..1. Per pixel, fire = 8(R-B), smoke = 8(B-R+G)-4 and nofire = 0; the classifier `beacon` answers the
mean over the picture, its map is that of 4x4 fields, its features are the means of R and B. `beacon-gate` lets through what has
any R or B, `beacon-box` finds fields that are red, `beacon-seg` masks smoke and fire, `beacon-b` is beacon with other logits.
"""

import hashlib
import json
import pathlib

import numpy as np
from onnx import TensorProto as T
from onnx import helper as h
from onnx import numpy_helper as nh

HERE = pathlib.Path(__file__).parent
LABELS = ["nofire", "smoke", "fire"]
PER_PIXEL = np.array([[0, 0, 0], [-8, 8, 8], [8, 0, -8]], np.float32)  # nofire, smoke, fire of R, G, B
BIAS = np.array([0, -4, 0], np.float32)


def conv(x, y, w, b):
    w = np.asarray(w, np.float32).reshape(len(b), 3, 1, 1)
    return [h.make_node("Conv", [x, y + "_w", y + "_b"], [y])], [nh.from_array(w, y + "_w"), nh.from_array(np.asarray(b, np.float32), y + "_b")]


def fields(x, y):
    return [h.make_node("AveragePool", [x], [y], kernel_shape=[4, 4], strides=[4, 4])]


def mean(x, y):
    return [h.make_node("GlobalAveragePool", [x], [y + "_p"]), h.make_node("Flatten", [y + "_p"], [y], axis=1)]


def classifier(scale, extras):
    nodes, inits = conv("input", "pixels", PER_PIXEL * scale, BIAS * scale)
    nodes += mean("pixels", "logits")
    outputs = [("logits", [1, 3])]
    if extras:
        n, i = conv("input", "rb", [[1, 0, 0], [0, 0, 1]], [0, 0])
        nodes += fields("pixels", "cam") + n + mean("rb", "features")
        inits += i
        outputs += [("features", [1, 2]), ("cam", [1, 3, 4, 4])]
    return nodes, inits, outputs


def gate():
    nodes, inits = conv("input", "pixels", [[0, 0, 0], [40, 0, 40]], [2, 0])
    return nodes + mean("pixels", "logits"), inits, [("logits", [1, 2])]


def boxes():
    nodes, inits = conv("input", "red", [[16, -8, -8]], [-6])
    centre = (np.arange(4, dtype=np.float32) + 0.5) / 4
    y, x = np.meshgrid(centre, centre, indexing="ij")
    where = np.stack([x.ravel(), y.ravel(), np.full(16, 0.25), np.full(16, 0.25)], 1).astype(np.float32)[None]
    nodes += fields("red", "score") + [
        h.make_node("Reshape", ["score", "rows"], ["logit"]), h.make_node("Concat", ["where", "logit"], ["boxes"], axis=2)]
    inits += [nh.from_array(np.array([1, 16, 1], np.int64), "rows"), nh.from_array(where, "where")]
    return nodes, inits, [("boxes", [1, 16, 5])]


def masks():
    nodes, inits = conv("input", "pixels", PER_PIXEL[1:], BIAS[1:] - 2)
    return nodes + fields("pixels", "masks"), inits, [("masks", [1, 2, 4, 4])]


def write(name, graph, output, labels, **more):
    nodes, inits, outputs = graph
    g = h.make_graph(nodes, name, [h.make_tensor_value_info("input", T.FLOAT, [1, 3, 16, 16])],
                     [h.make_tensor_value_info(n, T.FLOAT, s) for n, s in outputs], inits)
    model = h.make_model(g, opset_imports=[h.make_opsetid("", 13)], producer_name="emberwing-family")
    model.ir_version = 7
    data = model.SerializeToString(deterministic=True)
    folder = HERE / name
    folder.mkdir(exist_ok=True)
    (folder / "model.onnx").write_bytes(data)
    variant = dict(precision="fp32", file="model.onnx", sha256=hashlib.sha256(data).hexdigest(), bytes=len(data), temperature=1, threshold=0.6)
    variant |= more.pop("variant", {})
    manifest = dict(name=name, task="fire", version="1", description="For tests.", licence="Apache-2.0", labels=labels)
    manifest |= more.pop("head", {})
    manifest |= dict(
        input=dict(name="input", shape=[1, 3, 16, 16], dtype="float32", layout="nchw", order="rgb", fit="stretch", mean=[0, 0, 0], std=[1, 1, 1]),
        output=dict(name=outputs[0][0], shape=outputs[0][1], kind=output), variants=[variant]) | more
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")


DECISION = dict(window=5, agree=3, release=0.3, dwell_seconds=0)
ALARM = dict(labels=["smoke", "fire"])


def main():
    write("beacon", classifier(1, True), "logits", LABELS, alarm=ALARM, decision=DECISION,
          features=dict(name="features", shape=[1, 2]), cam=dict(name="cam", shape=[1, 3, 4, 4]),
          variant=dict(ood=dict(means=[[0, 0], [0.3, 0.7], [0.9, 0.1]], factor=[2, 0, 2], threshold=1)),
          gate=dict(model="beacon-gate", threshold=0.2, every=4), vote=dict(crops=2, margin=0.25),
          mix=dict(model="beacon-b", bias=0, slope=2), segmenter=dict(model="beacon-seg"))
    write("beacon-crop", classifier(1, True), "logits", LABELS, alarm=ALARM, decision=DECISION,
          features=dict(name="features", shape=[1, 2]), cam=dict(name="cam", shape=[1, 3, 4, 4]),
          localiser=dict(model="beacon-box", pad=1.25, whole_side=40))
    write("beacon-b", classifier(2, False), "logits", LABELS, alarm=ALARM, decision=DECISION)
    write("beacon-gate", gate(), "logits", ["empty", "something"], alarm=dict(labels=["something"]), decision=DECISION)
    write("beacon-box", boxes(), "boxes", ["beacon"], head=dict(kind="detector"), nms=dict(iou=0.4, max=2), variant=dict(threshold=0.5))
    write("beacon-seg", masks(), "masks", ["smoke", "fire"], head=dict(kind="segmenter"), variant=dict(threshold=0.5))


main()
