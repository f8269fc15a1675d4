"""What one volunteer costs: seconds of a worker by kind of job, and bytes in storage.

A volunteer of real size with three acquired arms goes the whole way: upload, reading in with
de-identification, both DLR arms, what is measured and kept of them. On a host with a graphics card
the denoiser runs there; the figures of docs/capacity.md come from this.

    python benchmarks/capacity.py [--volunteers 2] [--size 384x320x20]
"""

from __future__ import annotations

import argparse
import collections
import io
import sys
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.reading_site.site import benchmark_site, load_of_the_machine

DAY = 24 * 3600
ACQUIRED = ("STD", "DF", "TF")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--volunteers", type=int, default=2)
    parser.add_argument("--size", default="384x320x20", help="rows x columns x slices")
    options = parser.parse_args()
    rows, columns, slices = (int(part) for part in options.size.split("x"))
    with benchmark_site():
        import torch

        from benchmarks.reading_site.study import Size, _volume
        from readerstudy.imaging.models import Series
        from readerstudy.imaging.stored_size import stored_bytes
        from readerstudy.jobs.models import Job
        from readerstudy.jobs.worker import run_pending
        from tests.factories import make_study
        from tests.imaging.datasets import as_files, series
        from tests.imaging.uploading import send

        size = Size(rows, columns, slices)
        device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no graphics card"
        print(f"{size}; {device}; {load_of_the_machine()}", flush=True)
        study = make_study()
        for volunteer in range(options.volunteers):
            content = io.BytesIO()
            with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
                for arm, code in enumerate(ACQUIRED):
                    pixels = _volume(size, volunteer, 2 * arm)
                    for name, data in as_files(series(pixels), f"V{volunteer:02d}/{code}").items():
                        archive.writestr(name, data)
            send(study, {"scans.zip": content.getvalue()}, run=False)
        while run_pending(limit=1):
            pass
        failed = Job.objects.filter(study_id=study.pk).exclude(state=Job.State.SUCCEEDED)
        if failed.exists():
            raise SystemExit("\n".join(f"{job.kind}: {job.error}" for job in failed))
        seconds: dict[tuple[str, str], list[float]] = collections.defaultdict(list)
        for job in Job.objects.filter(study_id=study.pk):
            if job.started_at and job.finished_at:
                taken = (job.finished_at - job.started_at).total_seconds()
                seconds[job.queue, job.kind].append(taken)
        queues: dict[str, float] = collections.defaultdict(float)
        for (queue, kind), taken_by in sorted(seconds.items()):
            queues[queue] += sum(taken_by)
            print(f"  {queue} {kind}: {len(taken_by)} jobs, {sum(taken_by):.1f} s")
        for queue, total in sorted(queues.items()):
            each = total / options.volunteers
            print(
                f"  a {queue} worker: {each:.1f} s a volunteer, {DAY / each:,.0f} volunteers a day"
            )
        stored = stored_bytes(study) / options.volunteers
        count = Series.objects.filter(volunteer__study=study).count() / options.volunteers
        voxels = rows * columns * slices
        print(
            f"  disk: {stored / 1e6:.0f} MB a volunteer of {count:.0f} series, "
            f"{stored / count / voxels:.1f} bytes a voxel and series"
        )
        print(f"  {load_of_the_machine()}")


if __name__ == "__main__":
    main()
