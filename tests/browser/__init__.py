"""Tests in real JupyterLab, Notebook 7 and Voila."""
