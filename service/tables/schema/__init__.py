"""The tables: every column's name, type, unit, meaning and key stand here and nowhere else.

`sweep` is the folder name of a part (Hive partition), not a column inside the files.
"""

from service.tables.schema.analyses import ALL_ANALYSES
from service.tables.schema.columns import SCHEMA_VERSION, Column, Table
from service.tables.schema.training import CURVES, SAMPLES, TRIALS

TABLES = {table.name: table for table in (TRIALS, CURVES, SAMPLES, *ALL_ANALYSES)}

__all__ = ["SCHEMA_VERSION", "TABLES", "Column", "Table"]
