"""The car carries no training stack."""

import os
import pkgutil
import subprocess
import sys
from pathlib import Path

import motorworks.drive


def test_importing_every_drive_module_never_imports_torch():
    names = [f"motorworks.drive.{module.name}" for module in pkgutil.iter_modules(motorworks.drive.__path__)]
    assert "motorworks.drive.vehicle" in names and "motorworks.drive.runtime" in names
    code = f"import sys, {', '.join(names)}\nprint([name for name in ('torch', 'onnx', 'transformers', 'motorworks.export') if name in sys.modules])"
    root = str(Path(motorworks.drive.__file__).resolve().parents[2])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": root})
    assert done.stdout.strip() == "[]"
