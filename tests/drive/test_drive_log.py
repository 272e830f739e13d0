"""The drive log: what is written is read; what a power cut tears is said and left out."""

import pytest

from motorworks.drive.log import Header, LogWriter, StepLog, read_log


def step(index: int) -> StepLog:
    return StepLog(
        step=index,
        time_us=index * 100_000,
        health="ok",
        latency_s=0.02,
        plan_age_steps=0,
        speed_mps=1.5,
        yaw_rate_radps=None,
        instruction="follow the road",
        accel_mps2=(0.1, 0.2),
        curvature_per_m=(0.0, 0.01),
        thought="stop because a junction is near",
        triggers=("late",),
    )


def write(file, num: int) -> bytes:
    with LogWriter(file) as log:
        log.write(Header(policy="p", body="car", release=3, facts={"town": "1"}))
        for index in range(num):
            log.write(step(index))
    return file.read_bytes()


def test_a_log_reads_back_as_it_was_written(tmp_path):
    write(tmp_path / "drive.log", 25)
    log = read_log(tmp_path / "drive.log")
    assert log.message == "" and log.headers[0].facts == {"town": "1"} and log.steps == tuple(step(index) for index in range(25))


def test_a_log_cut_at_any_byte_keeps_every_whole_record_and_says_so(tmp_path):
    data, file = write(tmp_path / "drive.log", 3), tmp_path / "cut.log"
    whole = {0, *(index + 1 for index, byte in enumerate(data) if byte == ord("\n"))}
    for length in range(0, len(data) + 1, 1):
        file.write_bytes(data[:length])
        log = read_log(file)
        assert len(log.headers) + len(log.steps) == sum(end <= length for end in whole) - 1
        assert ("torn tail" in log.message) == (length not in whole)


def test_writing_on_after_a_torn_tail_cuts_it_off(tmp_path):
    file = tmp_path / "drive.log"
    file.write_bytes(write(file, 3)[:-7])
    with LogWriter(file) as log:
        log.write(step(2))
    assert read_log(file).message == "" and [record.step for record in read_log(file).steps] == [0, 1, 2]


def test_damage_in_the_middle_is_named_and_never_overwritten(tmp_path):
    data, file = bytearray(write(tmp_path / "drive.log", 3)), tmp_path / "drive.log"
    middle = data.index(b"\n") + 40
    data[middle] ^= 1
    file.write_bytes(data)
    log = read_log(file)
    assert len(log.headers) == 1 and log.steps == () and "damaged record at byte" in log.message
    with pytest.raises(ValueError, match="move the file away"):
        LogWriter(file)
    assert file.read_bytes() == bytes(data)
