"""Analyses records of runs: answers, tables, figures and reports, without torch."""

import pandas as pd

# Names of files may hold bytes that are no UTF-8, which text kept by pyarrow refuses. Where pyarrow is installed, as by
# the extra for tables of Hugging Face, pandas would keep all text by it
pd.set_option("mode.string_storage", "python")
