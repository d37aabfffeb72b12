# From chosen configurations to bundles: torch ends at `export`, IREE's compiler works alone from there.

from depthdial.config.devices import LOCAL


rule export:
    """Take out of PyTorch what all configurations share and what is their own."""
    input:
        weights=lambda w: layout.deployed_weights(C, place(w), w.seed),
        batchnorm=f"{SEED_FOLDER}/batchnorm.safetensors",
        configurations=f"{SEED_FOLDER}/configurations.json",
        images=IMAGES,
    output:
        exported=directory(f"{SEED_FOLDER}/exported"),
    log:
        "logs/{experiment}/export/{dataset}-{network}-seed{seed}.log",
    conda:
        "../envs/export.yaml"
    threads: 1
    resources:
        mem_mb=rising(2000),
        runtime=rising(20),
    params:
        deploy=GATE,
        code=code_digest("depthdial.deploy.export"),
    script:
        "../workflow_scripts/export.py"


rule tune:
    """Time the cuts of each convolution on the device that runs a target."""
    input:
        exported=f"{SEED_FOLDER}/exported",
    output:
        tuning=f"{SEED_FOLDER}/tuned/{{target}}.json",
    log:
        "logs/{experiment}/tune/{dataset}-{network}-seed{seed}-{target}.log",
        compiler="logs/{experiment}/tune/{dataset}-{network}-seed{seed}-{target}.iree.log",
    conda:
        "../envs/deploy.yaml"
    threads: lambda w: ALL_CORES if DEVICES[layout.tuning_device(STUDY, w.target)].host == LOCAL else 1
    resources:
        **{
            resource: (lambda w, name=name: int(DEVICES[layout.tuning_device(STUDY, w.target)].name == name))
            for name, resource in DEVICE_RESOURCES.items()
        },
        mem_mb=rising(1000),
        runtime=rising(30),
    params:
        target=lambda w: plain(TARGETS[w.target]),
        device=lambda w: DEVICES[layout.tuning_device(STUDY, w.target)].model_dump(mode="json", exclude={"title"}),
        benchmark=C.benchmark.model_dump(mode="json", include={"rounds", "extra_rounds", "drift_limit"}),
        cache=".cache/depthdial",
        iree=IREE,
        code=code_digest("depthdial.devices.tune"),
    script:
        "../workflow_scripts/tune.py"


rule compile:
    """Compile one configuration for one target."""
    input:
        tuning=lambda w: layout.tuning(STUDY, place(w), w.seed, w.target),
        configurations=f"{SEED_FOLDER}/configurations.json",
        exported=f"{SEED_FOLDER}/exported",
    output:
        module=f"{SEED_FOLDER}/compiled/{{target}}/{{configuration}}.vmfb",
        side_file=f"{SEED_FOLDER}/compiled/{{target}}/{{configuration}}.json",
    log:
        "logs/{experiment}/compile/{dataset}-{network}-seed{seed}-{target}-{configuration}.log",
        compiler="logs/{experiment}/compile/{dataset}-{network}-seed{seed}-{target}-{configuration}.iree.log",
    conda:
        "../envs/deploy.yaml"
    threads: 1
    resources:
        mem_mb=rising(1000),
        runtime=rising(20),
    params:
        target=lambda w: plain(TARGETS[w.target]),
        iree=IREE,
        code=code_digest("depthdial.deploy.compile"),
    script:
        "../workflow_scripts/compile.py"


rule link_bundle:
    """Put a bundle together; what can run here passes the numerics gate first."""
    input:
        exported=f"{SEED_FOLDER}/exported",
        configurations=lambda w: layout.deployed_configurations(C, place(w), w.seed),
        images=IMAGES,
        modules=lambda w: layout.compiled(C, place(w), w.seed, w.target),
    output:
        bundle=directory(f"{SEED_FOLDER}/bundle/{{target}}"),
    log:
        "logs/{experiment}/link_bundle/{dataset}-{network}-seed{seed}-{target}.log",
    conda:
        "../envs/deploy.yaml"
    threads: 1
    resources:
        mem_mb=rising(1000),
        runtime=rising(20),
    params:
        target=lambda w: plain(TARGETS[w.target]),
        deploy=GATE,
        cache=".cache/depthdial",
        code=code_digest("depthdial.deploy.bundle"),
    script:
        "../workflow_scripts/link_bundle.py"


rule pack:
    """Pack what a product ships: the configurations that a schedule uses as one module, and the schedule."""
    input:
        bundle=bundles_of(),
        schedule=ON_DEVICE.stage("schedule", "schedule.json"),
        header=ON_DEVICE.stage("schedule", "schedule.h"),
    output:
        packed=directory(ON_DEVICE.stage("packed")),
    log:
        "logs/{experiment}/pack/{dataset}-{network}-{device}.log",
        compiler="logs/{experiment}/pack/{dataset}-{network}-{device}.iree.log",
    conda:
        "../envs/deploy.yaml"
    threads: 1
    resources:
        mem_mb=rising(2000),
        runtime=rising(20),
    params:
        target=lambda w: plain(TARGETS[DEVICES[w.device].target]),
        cache=".cache/depthdial",
        iree=IREE,
        code=code_digest("depthdial.deploy.pack"),
    script:
        "../workflow_scripts/pack.py"


localrules:
    tune,
    bundle_all,
    pack_all,


rule pack_all:
    """What products ship, for every dial and device."""
    input:
        [place.stage("packed") for place in PLACES],


rule bundle_all:
    """Bundles of every dial and static network for every target."""
    input:
        [
            path
            for dataset in DATASETS
            for target in TARGETS
            for path in layout.bundles(C, Place(C.experiment, dataset), target, C.names("dial", "static"))
        ],
