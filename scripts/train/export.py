"""What the exports of all models share. Written models: opset 13, IR 8, no idle operator sets, no metadata."""

import hashlib
import tempfile
from pathlib import Path

import numpy as np
import onnx
import torch
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

import evaluate
import preprocess

OPSET, IR_VERSION = 13, 8
METHODS = {
    "minmax": (CalibrationMethod.MinMax, {}),
    "percentile 99.999": (CalibrationMethod.Percentile, dict(CalibPercentile=99.999)),
}


def pin(path: Path):
    """Stamp the oldest IR that serves, and drop operator sets that no node uses: old runtimes refuse those."""
    proto = onnx.load(path)
    proto.ir_version = IR_VERSION
    used = {node.domain for node in proto.graph.node}
    kept = [o for o in proto.opset_import if o.domain in used]
    del proto.opset_import[:]
    proto.opset_import.extend(kept)
    assert [(o.domain, o.version) for o in proto.opset_import] == [("", OPSET)], proto.opset_import
    del proto.metadata_props[:]
    onnx.checker.check_model(proto, full_check=True)
    onnx.save(proto, path)


class Calibration(CalibrationDataReader):
    """Feeds the quantiser float32 [1,3,H,W], one image at a time."""

    def __init__(self, tensors):
        self.tensors = iter(tensors)

    def get_next(self):
        x = next(self.tensors, None)
        return None if x is None else {"input": x[None]}


def trace(net, path: Path, shape, outputs):
    """Write net, which takes [1,3,*shape], as an FP32 file."""
    torch.onnx.export(
        net.eval(),
        torch.zeros(1, 3, *shape),
        str(path),
        input_names=["input"],
        output_names=outputs,
        opset_version=OPSET,
        dynamo=False,
        do_constant_folding=True,
    )
    pin(path)


def write_ptq(fp32: Path, path: Path, tensors, method, types, outside):
    """INT8 for CPUs: activations uint8 with a zero point, weights int8 per channel. types: operators to round;
    outside: a function from the prepared graph to the names of nodes that stay float."""
    kind, options = METHODS[method]
    with tempfile.TemporaryDirectory() as folder:
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(str(fp32), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared),
            str(path),
            Calibration(tensors),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            op_types_to_quantize=types,
            nodes_to_exclude=outside(onnx.load(prepared)),
            weight_type=QuantType.QInt8,
            activation_type=QuantType.QUInt8,
            calibrate_method=kind,
            extra_options=dict(ActivationSymmetric=False, WeightSymmetric=True, **options),
        )
    pin(path)


def outputs(path, tensors, threads=1) -> list:
    """All graph outputs for float32 [3,H,W] tensors, each stacked to [N,...]."""
    s = evaluate.session(path, threads)
    return [np.concatenate(o) for o in zip(*(s.run(None, {"input": x[None]}) for x in tensors))]


def best_ptq(fp32, path, write, held, keep=lambda first: first) -> dict:
    """Call write(candidate, method) for each of METHODS and keep the file whose first output (what `keep` takes of
    it) is nearest to FP32's on held; returns each method's distance."""
    want, scores = keep(outputs(fp32, held)[0]), {}
    for i, method in enumerate(METHODS):
        candidate = path.with_suffix(f".{i}.tmp")
        write(candidate, method)
        scores[method] = (float(np.abs(keep(outputs(candidate, held)[0]) - want).mean()), candidate)
        print(f"int8 {method}: mean distance of outputs {scores[method][0]:.4f}", flush=True)
    best = min(scores, key=lambda m: scores[m][0])
    scores[best][1].replace(path)
    for _, other in scores.values():
        other.unlink(missing_ok=True)
    return dict(chosen=best, distance={m: round(s, 5) for m, (s, _) in scores.items()})


def record(path: Path, named, rest) -> dict:
    """A variant's entry in the manifest: named, the file with its sum, rest."""
    blob = path.read_bytes()
    return named | dict(file=path.name, sha256=hashlib.sha256(blob).hexdigest(), bytes=len(blob)) | rest


def picture(height, width) -> dict:
    """The manifest's input of a model that takes the frame squashed to width x height."""
    return dict(
        name="input",
        shape=[1, 3, height, width],
        dtype="float32",
        layout="nchw",
        order="rgb",
        fit="stretch",
        mean=[round(v, 8) for v in preprocess.MEAN],
        std=[round(v, 8) for v in preprocess.STD],
    )
