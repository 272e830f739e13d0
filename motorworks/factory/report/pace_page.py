"""The sections of how fast members train, from the records that `pace` and the fits left."""

from collections.abc import Mapping
from typing import Any

from motorworks.factory.report.charts import number
from motorworks.factory.report.html import Section, listed, table
from motorworks.factory.report.making import figures_of
from motorworks.factory.report.records import Record, Turn

STAGE = "pace"


def pace_sections(turn: Turn) -> list[Section]:
    """Members against the matrix product and against Trainer; then the clock's figures of every fit. None where nobody measured a pace."""
    paces = sorted(
        (record for record in turn.records.values() if record.stage == STAGE),
        key=lambda record: (record.metrics["params"], record.metrics["compiled"]),
    )
    if not paces:
        return []
    head = ["", "parameters", "samples/s", "tokens/s", "MFU", "fastest product, TFLOP/s", "Trainer, samples/s", "ours / Trainer's", "memory, GB"]
    lines = [[_words(record), *_cells(record.metrics)] for record in paces]
    one = paces[0].metrics
    lead = (
        f"Warm steps of {one['batch_size']} samples in {one['precision']} on {one['device']}. MFU: the model's FLOP over those of the fastest matrix "
        "product of the same run. Trainer: Hugging Face's, with the same model, batches, losses, AdamW and precision, as it comes (eager)."
    )
    notes = dict.fromkeys(str(note) for record in paces for note in record.fields.get("thin") or [])
    pace = Section(anchor="pace", title="Pace", lead=lead, blocks=(table(head, lines, kind="scores"), listed(list(notes))))
    fits = [(record.name.partition(f"turn{turn.number}/")[2], record) for record in turn.records.values() if "mfu_frac" in record.metrics]
    return [pace, figures_of([(name, record) for name, record in fits if record.stage != STAGE])]


def _words(record: Record) -> str:
    return record.name.split("/")[-2].replace("_", " ") + (", compiled" if record.metrics["compiled"] else "")


def _cells(row: Mapping[str, Any]) -> list[str]:
    trainer, ratio, memory = (row.get(name) for name in ("trainer_samples_per_s", "trainer_ratio", "peak_memory_gb"))
    return [
        f"{row['params'] / 1e6:.1f} M",
        number(row["samples_per_s"]),
        number(row["tokens_per_s"]),
        f"{100 * row['mfu_frac']:.0f} %",
        number(row["peak_gemm_flops"] / 1e12),
        "–" if trainer is None else number(trainer),
        "–" if ratio is None else f"{ratio:.2f}",
        "–" if memory is None else f"{memory:.1f}",
    ]
