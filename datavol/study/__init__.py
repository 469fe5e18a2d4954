"""Analyses records of runs: answers, tables, figures and reports, without torch."""

import pandas as pd

# Names of files may hold bytes that are no UTF-8, which text kept by pyarrow refuses. pandas keeps text by it wherever it
# is installed, as by the extra for tables of Hugging Face
pd.set_option("mode.string_storage", "python")
