# Measurements on devices. They run where the workflow runs, never on a node of a cluster: the device may be known
# to this machine alone.


import hashlib

from depthdial.config.devices import LOCAL
from depthdial.devices.connection import agent_source

PROTOCOL = C.benchmark.model_dump(mode="json", exclude={"devices", "devices_file", "cost_model"})
AGENT = hashlib.sha256(agent_source()).hexdigest()[:16]
COST_FOLDER = f"{NETWORK.folder}/cost"


localrules:
    benchmark_device,
    bench_all,
    measure_cost,


rule benchmark_device:
    """Measure the configurations of a dial, and the static networks with them, on one device."""
    input:
        dial=bundles_of(),
        static=bundles_of("static"),
    output:
        records=ON_DEVICE.stage("bench", "records.jsonl"),
        latency=ON_DEVICE.stage("bench", "latency.parquet"),
    log:
        "logs/{experiment}/benchmark_device/{dataset}-{network}-{device}.log",
    conda:
        "../envs/deploy.yaml"
    threads: lambda w: ALL_CORES if DEVICES[w.device].host == LOCAL else 1
    resources:
        **one_at_a_time(),
        mem_mb=1000,
        runtime=120,
    params:
        device=lambda w: DEVICES[w.device].model_dump(mode="json", exclude={"title"}),
        benchmark=PROTOCOL,
        cache=".cache/depthdial",
        code=code_digest("depthdial.devices.benchmark"),
        agent=AGENT,
    script:
        "../workflow_scripts/benchmark_device.py"


rule bench_all:
    """Measure every dial on every device."""
    input:
        [place.stage("bench", "latency.parquet") for place in PLACES],


# What follows is used where select.cost names a device: latency of every mask from a few dozen measured ones.
rule export_cost:
    """Choose masks for the cost model and take them out of PyTorch; latency does not depend on what was learnt."""
    input:
        weights=NETWORK.seed(C.deploy.seed, "weights.safetensors"),
        images=IMAGES,
    output:
        configurations=f"{COST_FOLDER}/configurations.json",
        exported=directory(f"{COST_FOLDER}/exported"),
    log:
        "logs/{experiment}/export_cost/{dataset}-{network}.log",
    conda:
        "../envs/export.yaml"
    resources:
        mem_mb=rising(2000),
        runtime=rising(20),
    params:
        cost_model=plain(C.benchmark.cost_model),
        deploy=GATE,
        scaling=lambda w: C.evaluation(w.network).scaling,
        code=code_digest("depthdial.deploy.export", "depthdial.select.latency_model"),
    script:
        "../workflow_scripts/export_cost.py"


rule compile_cost:
    """Compile the masks of the cost model for one target."""
    input:
        configurations=f"{COST_FOLDER}/configurations.json",
        exported=f"{COST_FOLDER}/exported",
        images=IMAGES,
    output:
        bundle=directory(f"{COST_FOLDER}/bundle/{{target}}"),
    log:
        "logs/{experiment}/compile_cost/{dataset}-{network}-{target}.log",
    conda:
        "../envs/deploy.yaml"
    threads: 4
    resources:
        mem_mb=rising(4000),
        runtime=rising(60),
    params:
        target=lambda w: plain(TARGETS[w.target]),
        deploy=GATE,
        iree=IREE,
        code=code_digest("depthdial.deploy.compile", "depthdial.deploy.bundle"),
    script:
        "../workflow_scripts/compile_cost.py"


rule measure_cost:
    """Measure the masks of the cost model on one device and fit it."""
    input:
        bundle=lambda w: f"{COST_FOLDER}/bundle/{DEVICES[w.device].target}".format(**w),
    output:
        records=f"{COST_FOLDER}/{{device}}/records.jsonl",
        latency=f"{COST_FOLDER}/{{device}}/latency.parquet",
        model=f"{COST_FOLDER}/{{device}}/model.json",
    log:
        "logs/{experiment}/measure_cost/{dataset}-{network}-{device}.log",
    conda:
        "../envs/deploy.yaml"
    threads: lambda w: ALL_CORES if DEVICES[w.device].host == LOCAL else 1
    resources:
        **one_at_a_time(),
        mem_mb=1000,
        runtime=240,
    params:
        device=lambda w: DEVICES[w.device].model_dump(mode="json", exclude={"title"}),
        benchmark=PROTOCOL,
        cost_model=plain(C.benchmark.cost_model),
        cache=".cache/depthdial",
        code=code_digest("depthdial.devices.benchmark", "depthdial.select.latency_model"),
        agent=AGENT,
    script:
        "../workflow_scripts/measure_cost.py"
