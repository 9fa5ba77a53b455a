"""The steps of a calibration: plain functions from CCDData to CCDData."""
