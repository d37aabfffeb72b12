# Measurements on devices. They run where the workflow runs, never on a node of a cluster: the device may be known
# to this machine alone.
import hashlib

from depthdial.config.devices import LOCAL
from depthdial.devices.connection import agent_source

DEVICE_RESOURCES = {name: f"device_{name.replace('-', '_')}" for name in DEVICES}

# One benchmark at a time per device, without a flag on the command line.
for resource in DEVICE_RESOURCES.values():
    workflow.global_resources.setdefault(resource, 1)


def bundles_for(role):
    """The bundles of all networks of a role (of the dial itself: one) for the target of a device."""

    def bundles(w):
        names = [w.network] if role == "dial" else C.names(role)
        folder = "results/{experiment}/{dataset}/{network}/seed{seed}/bundle/{target}"
        return [
            folder.format(
                experiment=w.experiment,
                dataset=w.dataset,
                network=name,
                seed=C.deploy.seed,
                target=DEVICES[w.device].target,
            )
            for name in names
        ]

    return bundles


localrules:
    benchmark_device,
    bench_all,


rule benchmark_device:
    """Measure the configurations of a dial, and the static networks with them, on one device."""
    input:
        dial=bundles_for("dial"),
        static=bundles_for("static"),
    output:
        records="results/{experiment}/{dataset}/{network}/bench/{device}/records.jsonl",
        latency="results/{experiment}/{dataset}/{network}/bench/{device}/latency.parquet",
    log:
        "logs/{experiment}/benchmark_device/{dataset}-{network}-{device}.log",
    conda:
        "../envs/deploy.yaml"
    # A benchmark of this machine has it to itself.
    threads: lambda w: workflow.cores or 1 if DEVICES[w.device].host == LOCAL else 1
    resources:
        **{resource: (lambda w, name=name: int(w.device == name)) for name, resource in DEVICE_RESOURCES.items()},
        mem_mb=1000,
        runtime=120,
    params:
        device=lambda w: plain(DEVICES[w.device]),
        benchmark=plain(C.benchmark),
        cache=".cache/depthdial",
        code=code_digest("depthdial.devices.benchmark"),
        agent=hashlib.sha256(agent_source()).hexdigest()[:16],
    script:
        "../workflow_scripts/benchmark_device.py"


rule bench_all:
    """Measure every dial on every device."""
    input:
        on_devices("bench/{device}/latency.parquet"),
