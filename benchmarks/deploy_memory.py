"""What one process needs to run some configurations of a bundle: memory and time to load, as JSON."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np

from depthdial.deploy.archive import archive_index
from depthdial.deploy.manifest import NORMALISATION_SCOPE
from depthdial.deploy.runtime import Bundle


class OneModule(Bundle):
    """The alternative that was measured and not taken: all configurations as functions of one module."""

    def load(self, name: str) -> None:
        """Load the module, and with it every configuration."""
        if self._functions:
            return
        iree, instance = self._iree, self._config.vm_instance
        own = archive_index(self.folder.parent / "one.irpa").create_provider(NORMALISATION_SCOPE)
        modules = iree.load_vm_modules(
            iree.create_io_parameters_module(instance, self._weights, own),
            iree.create_hal_module(instance, self._config.device),
            iree.VmModule.mmap(instance, str(self.folder.parent / "one.vmfb")),
            config=self._config,
        )
        self._functions = {one.name: modules[-1][one.name] for one in self.manifest.configurations}


def proportional_set_kb() -> dict[str, int]:
    """This process's proportional set size: all of it, and the part that no file backs."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    found = {line.split(":")[0]: int(line.split()[1]) for line in lines[1:]}
    return {"pss_kb": found["Pss"], "anonymous_kb": found["Pss_Anon"]}


def main(kind: str, folder: str, count: int) -> None:
    """Open a bundle (``many`` modules, or ``one``), load and run its first configurations, print what it took."""
    import iree.runtime

    iree.runtime.Config("local-sync")
    image = np.load(f"{folder}/gate/input0.npy")[0]
    before = proportional_set_kb()
    bundle = {"many": Bundle, "one": OneModule}[kind](folder)
    names = [one.name for one in bundle.manifest.configurations][:count]
    started = time.perf_counter()
    for name in names:
        bundle.load(name)
    loaded = time.perf_counter() - started
    for name in names:
        bundle.logits(image, name)
    after = proportional_set_kb()
    own = {f"own_{key}": after[key] - before[key] for key in after}
    print(json.dumps({**after, **own, "load_ms": loaded * 1e3}))  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
