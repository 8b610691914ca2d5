"""What analyses took is told per trial, by the usual settings, beside what training took."""

import pandas as pd

from service.analysis.costs import costs_table


def test_medians_are_of_the_usual_settings_and_training_of_the_trials_analyzed():
    row = {"analysis": "spectra", "settings": "", "checkpoints": 2}
    analyses = pd.DataFrame([
        {**row, "trial_id": "a", "seconds": 1.0},
        {**row, "trial_id": "b", "seconds": 3.0},
        {**row, "trial_id": "a", "seconds": 900.0, "settings": "other"},
    ])  # fmt: skip
    trials = pd.DataFrame({"trial_id": ["a", "b", "c"], "wall_s": [10.0, 20.0, 7000.0]})
    lines = costs_table(analyses, trials).splitlines()
    (spectra,) = (line for line in lines if line.startswith("| spectra |"))
    assert spectra.endswith("| 2 | 2.00 (1.00 to 3.00) |")
    assert lines[-2:] == ["| all of these | | | 2.0 |", "| training | | | 15.00 (10.00 to 20.00) |"]
