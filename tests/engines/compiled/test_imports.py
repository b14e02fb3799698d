"""What torch calls its own is imported only where something is compiled."""

import ast
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys, sam_sde, sam_sde.cli
for name in sam_sde.__all__: getattr(sam_sde, name)
print(*(module.__file__ for name, module in sys.modules.items() if name.startswith("sam_sde")), sep="\\n")
"""


def private_imports(file: str) -> list[str]:
    """Modules of torch with a part that begins with an underscore, or experimental, imported when the file is."""
    found = []
    for node in ast.parse(Path(file).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            found += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
    names = [name.split(".") for name in found if name.startswith("torch.")]
    return [".".join(parts) for parts in names if any(part[0] == "_" or part == "experimental" for part in parts)]


def test_no_module_that_is_always_imported_imports_what_is_private():
    files = subprocess.run([sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True).stdout.split()
    assert any(file.endswith("compiled/engine.py") for file in files)
    assert {file: private_imports(file) for file in files if private_imports(file)} == {}


def test_private_imports_are_seen():
    from sam_sde.engines.compiled import compilation

    assert private_imports(compilation.__file__)
