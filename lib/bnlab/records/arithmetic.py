"""How a machine computes, as far as it decides a number: device, engine, torch and its switches, which are set here."""

import os
from collections.abc import Container, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version

COMPILED_STEP = "bnlab.training.compiled.step"


@dataclass(frozen=True)
class Arithmetic:
    """What decides the last bits of a number besides parameters, data and source.

    ``device``: "cpu" or "cuda". ``engine``: "single", PyTorch's operations, one network at a time; "numba 0.68", the
    compiled step as that release compiles it, for networks that it can train; "batched", many networks as one
    computation. ``torch``: "major.minor". ``tf32`` and ``deterministic``: torch's switches, as `fixed` sets them.
    """

    device: str
    engine: str
    torch: str
    tf32: bool
    deterministic: bool

    @classmethod
    def now(cls, device: str, engine: str = "single") -> "Arithmetic":
        """Read torch's switches as they are."""
        import torch  # late: reading a result or the ledger needs no torch

        kind = torch.device(device).type
        tf32 = kind == "cuda" and (torch.backends.cuda.matmul.allow_tf32 or torch.backends.cudnn.allow_tf32)
        release = ".".join(torch.__version__.split(".")[:2])
        return cls(kind, engine, release, bool(tf32), torch.are_deterministic_algorithms_enabled())

    def facts(self) -> dict[str, object]:
        """Plain values by name, as they go into a key and a provenance."""
        return asdict(self)


def engine_of(device: str, sources: Container[str], sweep: bool = True) -> str:
    """Name the engine that makes numbers on a device.

    Args:
        device: "cpu" or "cuda".
        sources: names of the modules that decide them; without the compiled step among them it is not used.
        sweep: whether they are many runs, which a GPU computes as one.
    """
    if device == "cuda":
        return "batched" if sweep else "single"
    if COMPILED_STEP not in sources:
        return "single"
    try:
        return f"numba {'.'.join(version('numba').split('.')[:2])}"
    except PackageNotFoundError:
        return "single"


@contextmanager
def fixed(device: str) -> Iterator[None]:
    """Compute in full float32 for a while; on CUDA with deterministic algorithms as well; then as before."""
    import torch

    cuda, matmul, cudnn = torch.device(device).type == "cuda", torch.backends.cuda.matmul, torch.backends.cudnn
    before = (torch.get_float32_matmul_precision(), matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark)
    # By its other name, as use_deterministic_algorithms imports all of torch.compile: 1.6 s a process, for nothing.
    deterministic = torch.get_deterministic_debug_mode()
    if cuda:  # cuBLAS reads it once, when it starts; without it torch refuses deterministic products
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    try:
        torch.set_float32_matmul_precision("highest")
        matmul.allow_tf32 = cudnn.allow_tf32 = cudnn.benchmark = False
        torch.set_deterministic_debug_mode("error" if cuda else "default")
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        matmul.allow_tf32, cudnn.allow_tf32, cudnn.benchmark = before[1:]
        torch.set_deterministic_debug_mode(deterministic)
