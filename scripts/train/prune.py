"""Channel pruning of inverted residuals: remove the expanded channels that matter least, physically, then fine-tune."""

from pathlib import Path

import torch
from torch import nn

import hands
import model as lite0


def resize(block: lite0.Block, width: int):
    """Give a block (in place, fresh weights) `width` expanded channels."""
    cin, cout = block.expand[0].in_channels, block.project[0].out_channels
    conv = block.depthwise[0]
    block.expand = lite0.conv_bn(cin, width)
    block.depthwise = lite0.conv_bn(width, width, conv.kernel_size[0], conv.stride[0], groups=width)
    block.project = lite0.conv_bn(width, cout, act=False)


def load(checkpoint: Path, key="average") -> lite0.Lite0:
    """The classifier of a checkpoint with the block widths that it was saved with."""
    saved = torch.load(checkpoint, weights_only=True)
    net = lite0.Lite0(len(hands.LABELS))
    for block, width in zip(net.blocks, saved.get("widths", []), strict=False):
        if width != block.depthwise[0].out_channels:
            resize(block, width)
    if "stem.1.weight" not in saved[key]:  # trained with batch norms folded
        lite0.fold_batchnorm(net.eval())
    net.load_state_dict(saved[key])
    return net


@torch.no_grad()
def importance(block: lite0.Block) -> torch.Tensor:
    """Expected contribution of each expanded channel: spread behind the depthwise batch norm times the length of its
    projection.

    The gamma of that batch norm is the criterion of network slimming (Liu et al. 2017, arXiv:1708.06519); the
    projection's column says how much of the channel the rest of the network hears.
    """
    gamma = block.depthwise[1].weight.abs()
    column = (
        block.project[0].weight[:, :, 0, 0]
        * (block.project[1].weight / (block.project[1].running_var + 1e-3).sqrt())[:, None]
    )
    return gamma * column.norm(dim=0)


def multiple(width: float, of=8) -> int:
    """width rounded to a multiple that fills vector registers, at least one of them."""
    return max(of, int(width / of + 0.5) * of)


@torch.no_grad()
def shrink(net: nn.Module, ratio: float, pictures=None, last=None, first=1):
    """Remove `ratio` of the expanded channels of net.blocks[first:last], in place; batch norms must not be folded.

    With pictures (float32 [B,3,H,W]) each projection is refitted by least squares to give what it gave with all
    channels (He et al. 2017, arXiv:1707.06168), which saves most of the fine-tuning.
    """
    for block in net.blocks[first:last]:
        keep = importance(block).topk(multiple(block.depthwise[0].out_channels * (1 - ratio))).indices.sort().values
        if len(keep) < block.depthwise[0].out_channels:
            weight = refit(net, block, keep, pictures) if pictures is not None else block.project[0].weight[:, keep]
            select(block, keep, weight)
    return net


def select(block: lite0.Block, keep, weight):
    """Keep these expanded channels; weight: the projection's [out,kept,1,1]."""
    states = [
        {k: v if v.dim() == 0 else v[keep] for k, v in part.state_dict().items()}
        for part in (block.expand, block.depthwise)
    ]
    project = block.project.state_dict() | {"0.weight": weight}
    resize(block, len(keep))
    for part, state in zip((block.expand, block.depthwise, block.project), (*states, project)):
        part.load_state_dict(state)
    block.eval()


def refit(net, block, keep, pictures, most=20000):
    """The projection's weights for the kept channels, from activations at up to `most` places."""
    seen = []
    hook = block.project[0].register_forward_hook(
        lambda _, inputs, __: seen.append(inputs[0].movedim(1, -1).flatten(0, 2))
    )
    net.eval()(pictures)
    hook.remove()
    rows = seen[0][torch.randperm(len(seen[0]))[:most]].double()
    want, kept = rows @ block.project[0].weight[:, :, 0, 0].double().T, rows[:, keep]
    square = kept.T @ kept
    ridge = 1e-4 * square.diagonal().mean() * torch.eye(len(keep), dtype=torch.double)
    return torch.linalg.solve(square + ridge, kept.T @ want).T.float()[:, :, None, None]
