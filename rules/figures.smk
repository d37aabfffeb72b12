# One rule per figure, made from its entry in depthdial/figures/catalogue.py; each knows only the settings that it shows.


for figure in FIGURES:

    rule:
        """Draw a figure with its data."""
        name:
            f"draw_{figure.name}"
        input:
            unpack(at_place(figure.inputs)),
        output:
            **figure_outputs(figure),
        log:
            f"logs/{{experiment}}/draw_{figure.name}/{'-'.join(f'{{{name}}}' for name in figure.wildcards)}.log",
        group:
            "figures"
        conda:
            "../envs/report.yaml"
        resources:
            mem_mb=rising(1000),
            runtime=rising(10),
        params:
            figure=figure.name,
            style=style_of(STUDY, figure),
            title=at_place(figure.title),
            settings=at_place(figure.settings),
            caption=figure.caption,
            code=code_digest(f"depthdial.figures.{figure.name}"),
        script:
            "../workflow_scripts/draw_figure.py"


localrules:
    figures,


rule figures:
    """Draw every figure."""
    input:
        figure_files(STUDY, all_places(STUDY), *FIGURE_FILES),
