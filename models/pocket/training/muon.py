"""Muon for matrices (Jordan et al. 2024), AdamW for the rest, an average of the weights beside them."""

import torch


@torch.no_grad()
def orthogonal(g: torch.Tensor, steps: int = 5) -> torch.Tensor:
    """Newton-Schulz towards the nearest orthogonal matrix; g [K,m,n] is a stack.

    All factors are polynomials of x xT, so only that small square is iterated on; bfloat16 is too coarse for it, and on a CPU
    without instructions for bfloat16 float32 is faster anyway.
    """
    a, b, c = 3.4445, -4.7750, 2.0315
    x = g.float()
    tall = x.shape[1] > x.shape[2]
    if tall:
        x = x.transpose(1, 2)
    x = x / (x.flatten(1).norm(dim=1)[:, None, None] + 1e-7)
    gram, one = x @ x.transpose(1, 2), torch.eye(x.shape[1], device=x.device)
    factor = None
    for k in range(steps):
        turn = a * one + b * gram + c * (gram @ gram)
        factor = turn if factor is None else turn @ factor
        if k + 1 < steps:
            gram = turn @ turn @ gram
    x = factor @ x
    return x.transpose(1, 2) if tall else x


class Muon(torch.optim.Optimizer):
    """Matrices (and convolutions seen as matrices). lr is in AdamW's units (Liu et al. 2025, arXiv:2502.16982)."""

    def __init__(self, params, lr: float = 1e-3, momentum: float = 0.95, weight_decay: float = 0.01):
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            shapes = {}
            for p in group["params"]:
                if p.grad is None:
                    continue
                buffer = self.state[p].setdefault("momentum", torch.zeros_like(p))
                buffer.lerp_(p.grad, 1 - group["momentum"])
                update = p.grad.lerp(buffer, group["momentum"]).flatten(1)
                shapes.setdefault(tuple(update.shape), []).append((p, update))
            for (m, n), pairs in shapes.items():
                updates = orthogonal(torch.stack([u for _, u in pairs]))
                for (p, _), u in zip(pairs, updates):
                    p.mul_(1 - group["lr"] * group["weight_decay"])
                    p.sub_(u.view_as(p), alpha=0.2 * group["lr"] * max(m, n) ** 0.5)


def optimizers(module: torch.nn.Module, lr: float, plain: tuple = ()) -> list[torch.optim.Optimizer]:
    """Muon over hidden matrices, AdamW over vectors, embeddings and everything whose name starts with one of `plain`."""
    matrices, rest = [], []
    for name, p in module.named_parameters():
        big = p.ndim in (2, 4) and min(p.shape[0], p.flatten(1).shape[1]) >= 16 and not name.startswith(plain)
        (matrices if big else rest).append(p)
    return [Muon(matrices, lr=lr), torch.optim.AdamW(rest, lr=lr, betas=(0.9, 0.98), weight_decay=0.0)]


class Average:
    """Exponential moving average of a module's weights."""

    def __init__(self, module: torch.nn.Module):
        self.shadow = {k: v.detach().clone() for k, v in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: torch.nn.Module, decay: float) -> None:
        state = module.state_dict()
        torch._foreach_lerp_([self.shadow[k] for k in state], list(state.values()), 1 - decay)
