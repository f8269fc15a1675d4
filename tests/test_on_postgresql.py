"""The rooms whose SQL differs between databases pass their own tests on PostgreSQL too."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from tests.postgresql import create_database

ROOT = Path(__file__).resolve().parents[1]
# Files whose every test is run, and of others those tests that lock rows, meet a trigger of the
# database, ask for a part of a JSON column or have an act undone half-way: what a database decides.
WHOLE = (
    "tests/audit",
    "tests/jobs",
    "tests/reports/test_verifying.py",
    "tests/audit/on_postgresql.py",  # the end of the trail, held by one at a time
    "tests/conduct/on_postgresql.py",  # two acts at once, clocks that differ
    "tests/reports/on_postgresql.py",  # a backup while people work
    "tests/reports/test_backup_faults.py",  # how a commit ended that broke off
    "tests/imaging/on_postgresql.py",
    "tests/web/test_interrupted_migration.py",
)
CHOSEN = {
    "tests/accounts/test_invitations.py": (
        "a_link_works_once",
        "a_second_invitation_replaces_the_first",
    ),
    "tests/reading/test_acts.py": (
        "a_score_stands_after_a_crash_between_click_and_answer",
        "the_database_refuses_to_change_an_answer_and_to_add_one_after_the_lock",
    ),
    "tests/reading/test_scoring.py": (
        "each_change_of_a_score_is_a_new_revision_and_all_are_kept",
        "sending_the_stored_score_again_adds_nothing",
        "a_score_on_an_outdated_revision_is_a_conflict_that_carries_what_is_stored",
        "the_last_item_completes_the_session",
        "after_the_lock_nothing_is_scored_or_submitted",
        "opening_the_first_case_starts_the_session_and_is_noted_once",
        "the_primary_analysis_gets_the_latest_scores_of_submitted_primary_items",
    ),
    "tests/conduct/test_launch_and_lock.py": (
        "a_launch_freezes_the_protocol_and_stores_every_readers_order",
        "a_study_is_launched_once",
        "a_launch_that_is_refused_leaves_nothing_behind",
        "a_derived_cell_follows_its_job",
        "progress_counts_items_and_says_nothing_of_scores",
        "a_finished_study_locks_without_a_reason_and_takes_no_score_afterwards",
    ),
    "tests/conduct/test_images_and_decisions.py": (
        "a_worker_measures_every_arm_once_and_a_new_control_anew",  # shifts are found by their JSON
        "no_series_is_read_before_it_was_looked_at",
    ),
    "tests/imaging/test_tus.py": (
        "an_upload_is_sent_in_pieces_resumed_and_read",
        "an_upload_cancelled_before_its_job_begins_stays_cancelled",
        "abandoned_and_failed_uploads_are_closed_and_their_bytes_deleted",
        "outputs_of_a_killed_attempt_are_deleted_and_no_others",
        "room_that_is_asked_for_twice_is_made_once",
        "cancelled_failed_and_expired_uploads_are_in_the_trail_without_names",
    ),
    "tests/imaging/test_inbox.py": (
        "volunteer_and_arm_are_guessed_from_the_headers_and_confirmed",
        "an_arm_is_guessed_from_how_stored_series_were_acquired",
        "a_discarded_series_is_gone_with_its_files_and_the_reason_stays",
    ),
    "tests/imaging/test_ingest.py": (
        "a_zip_laid_out_by_volunteer_and_arm_fills_the_grid",
        "an_attempt_that_loses_its_lease_publishes_nothing",
        "the_history_names_refused_files_once_a_reason",
        "two_series_for_one_cell_both_wait_for_the_coordinators_choice",
    ),
    "tests/imaging/test_receiver.py": (
        "a_batch_goes_to_the_worker_once_its_sender_is_silent_and_gone",
    ),
}


# Those start processes with databases of their own.
OWN = ("broker", "frozen_broker", "unmigrated", "worker")


@pytest.mark.postgres
@pytest.mark.slow
def test_rooms_that_lock_rows_hold_on_postgresql(postgresql_address: str) -> None:
    url = create_database(postgresql_address, f"suite_{uuid.uuid4().hex}")
    rooms = [*WHOLE]
    rooms += [f"{file}::test_{name}" for file, names in CHOSEN.items() for name in names]
    own = [f"--ignore=tests/jobs/test_{kind}_processes.py" for kind in OWN]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *rooms, *own, "-q", "-m", "not postgres"],
        cwd=ROOT,
        env={**os.environ, "TEST_DATABASE_URL": url, "PYTEST_ADDOPTS": "-p no:cacheprovider"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
