"""What happens in the driver: from configs to a plan, from the plan to packs on Ray Tune, then
analyses, figures and the end of the sweep. `driver.run_sweep` is the place to start reading.

Uses: worker, analysis and all below them. Used by: boundary, cli, sweeps.
"""
