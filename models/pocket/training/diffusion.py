"""Noise schedule, training target and a sampler for looking at pictures while training.

Cosine schedule (Nichol & Dhariwal 2021), v-prediction (Salimans & Ho 2022, arXiv:2202.00512):
v = alpha * noise - sigma * x0. The exported scheduler_config.json says the same to any engine.
"""

import math

import torch


def alphas_cumprod(steps: int = 1000) -> torch.Tensor:
    """`squaredcos_cap_v2` exactly as diffusers computes it, f32[steps]."""
    bar = lambda t: math.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2
    betas = torch.tensor([min(1 - bar((i + 1) / steps) / bar(i / steps), 0.999) for i in range(steps)], dtype=torch.float32)
    return torch.cumprod(1 - betas, 0)


SCHEDULER = {
    "_class_name": "DPMSolverMultistepScheduler", "_diffusers_version": "0.30.0", "algorithm_type": "dpmsolver++",
    "beta_start": 0.0001, "beta_end": 0.02, "beta_schedule": "squaredcos_cap_v2", "trained_betas": None,
    "num_train_timesteps": 1000, "prediction_type": "v_prediction", "solver_order": 2, "solver_type": "midpoint",
    "lower_order_final": True, "final_sigmas_type": "zero", "timestep_spacing": "trailing", "steps_offset": 0,
    "thresholding": False, "clip_sample": False, "set_alpha_to_one": True, "rescale_betas_zero_snr": False, "use_karras_sigmas": False,
}


@torch.no_grad()
def sample(predict, noise: torch.Tensor, cond: torch.Tensor, empty: torch.Tensor, steps: int, guidance: float, limit: float = math.inf) -> torch.Tensor:
    """DPM-Solver++(2M) (Lu et al. 2022, arXiv:2211.01095), trailing timesteps. Returns x0 latents.

    predict(x, t[B], states) -> v. cond, empty: [B,77,D]. What is imagined is cut to +- limit, as pixels are.
    """
    bars = alphas_cumprod()
    times = [round(1000 - i * 1000 / steps) - 1 for i in range(steps)]
    x, last, last_lambda = noise, None, 0.0
    for i, t in enumerate(times):
        a, s = bars[t].sqrt().item(), (1 - bars[t]).sqrt().item()
        both = predict(torch.cat([x, x]), torch.full((2 * len(x),), float(t)), torch.cat([cond, empty]))
        v, u = both.float().chunk(2)
        x0 = (a * x - s * (u + guidance * (v - u))).clamp(-limit, limit)
        lam = math.log(a / s)
        if i + 1 == len(times):
            return x0
        a2, s2 = bars[times[i + 1]].sqrt().item(), (1 - bars[times[i + 1]]).sqrt().item()
        h = math.log(a2 / s2) - lam
        d = x0 if last is None else x0 + (x0 - last) * h / (2 * (lam - last_lambda))
        x = s2 / s * x + a2 * (1 - math.exp(-h)) * d
        last, last_lambda = x0, lam
    return x
