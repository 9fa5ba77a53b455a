"""The generic engine: functions over many files, in parallel, losing nothing."""
