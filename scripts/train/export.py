"""What the exports of all models share. Written models: opset 13, IR 8, no idle operator sets, no metadata."""

from pathlib import Path

import onnx
from onnxruntime.quantization import CalibrationDataReader

OPSET, IR_VERSION = 13, 8


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
