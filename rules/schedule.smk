# From what a device was measured to do, to the table that its selector looks up, and what that is worth.


rule build_schedule:
    """Solve the schedule of a dial on a device."""
    input:
        latency=ON_DEVICE.stage("bench", "latency.parquet"),
        traces=STUDY.estimate_files,
    output:
        schedule=ON_DEVICE.stage("schedule", "schedule.json"),
        header=ON_DEVICE.stage("schedule", "schedule.h"),
    log:
        "logs/{experiment}/build_schedule/{dataset}-{network}-{device}.log",
    conda:
        "../envs/schedule.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        settings=plain(C.schedule),
        seeds=C.traces.estimate_seeds,
        code=code_digest("depthdial.schedule"),
    script:
        "../workflow_scripts/build_schedule.py"


rule replay_traces:
    """Replay the held-out traces under every policy."""
    input:
        latency=ON_DEVICE.stage("bench", "latency.parquet"),
        schedule=ON_DEVICE.stage("schedule", "schedule.json"),
        test=lambda w: layout.of_seeds(place(w), [w.network, *C.names("static")], [C.deploy.seed], "test.parquet"),
        estimate=STUDY.estimate_files,
        held_out=STUDY.held_out_files,
    output:
        summary=ON_DEVICE.stage("replay", "summary.parquet"),
        steps=ON_DEVICE.stage("replay", "steps.parquet"),
        curve=ON_DEVICE.stage("replay", "curve.parquet"),
        cells=ON_DEVICE.stage("replay", "cells.parquet"),
    log:
        "logs/{experiment}/replay_traces/{dataset}-{network}-{device}.log",
    conda:
        "../envs/schedule.yaml"
    threads: 1
    resources:
        mem_mb=rising(4000),
        runtime=rising(30),
    params:
        settings=plain(C.schedule),
        estimate_seeds=C.traces.estimate_seeds,
        held_out_seeds=C.traces.held_out_seeds,
        code=code_digest("depthdial.replay"),
    script:
        "../workflow_scripts/replay_traces.py"


localrules:
    build_schedule,
    schedule_all,


rule schedule_all:
    """Solve and replay the schedule of every dial on every device."""
    input:
        [place.stage("replay", "summary.parquet") for place in PLACES],
