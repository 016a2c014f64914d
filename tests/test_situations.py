"""What has gone wrong once, in words, and the test that each has now; faults 1 to 32 are in docs/RELIABILITY.md.

Four lists: what people report of programs of this kind, attacks, a newcomer's first hour, and slips of the hand.
"""

from __future__ import annotations

import re
from pathlib import Path

REPORTED = {
    "a number with a decimal tail": ("test_a_tail_is_never_part_of_the_number",),
    "a quote that never closes": ("test_one_open_quote_costs_one_row",),
    "a wait for somebody who is gone": ("test_until_done_says_whom_it_waits_for",),
    "a broker whose clock moves": ("test_times_beyond_all_bounds_don_t_reach_the_figures",),
    "standard streams closed, full or gone": ("test_streams_that_are_closed_full_or_broken_change_nothing",),
    "a module in the current folder": ("test_nothing_of_the_current_folder_runs",),
    "secrets as orchestrators mount them": ("test_secrets_are_taken_as_they_are_mounted",),
    "one name for several containers": ("test_two_processes_of_one_name_are_told_of",),
    "a limit beside a file": ("test_a_limit_takes_the_first",),
    "a slip in a send function": ("test_what_can_not_is_refused",),
    "thresholds in the environment": ("test_every_kind_of_option_can_come_from_the_environment",),
    "a lease shorter than a send": ("test_a_run_with_a_lease_shorter_than_its_sends_says_so_and_sends_each_once",),
    "a named pipe as a list": ("test_a_named_pipe_is_read_as_it_is_written",),
    "a name that does not resolve yet": ("test_a_broker_s_name_may_resolve_later",),
    "no place for temporary files": ("test_without_any_place_tmpdir_is_named",),
    "few descriptors": ("test_few_descriptors_are_raised_and_too_few_are_a_line",),
    "a broker that forgot": ("test_a_run_whose_broker_forgot_ends_and_says_so",),
    "a file name that is not UTF-8": ("test_a_path_that_is_not_utf_8_costs_nothing",),
    "a signal to everybody at once": ("test_a_signal_to_everybody_at_once_is_as_one_to_the_run",),
    "a file system without locks": ("test_a_file_system_without_locks_is_named_as_such",),
    "senders that left": ("test_who_has_said_a_last_word_has_left_and_is_not_silent",),
    "a send function that blocks": ("test_a_blocking_function_is_asked_for_no_more_than_can_begin_and_is_named",),
    "a terminal that goes away": ("test_a_terminal_that_goes_away_does_not_end_a_run",),
    "two addresses of one name": ("test_of_two_addresses_the_one_that_answers_is_taken",),
    "the same person more than once": ("test_repeats_are_counted_and_left_out_on_demand",),
    "a formula in a report for spreadsheets": ("test_formulas_in_any_cell_of_any_dialect",),
    "a figure that nobody measured": ("test_what_was_not_measured_is_not_as_expected",),
    "a run in which nothing was sent": ("test_a_run_that_sends_nothing_does_not_end_well",),
    "what spreadsheets and contact books leave": ("test_reads", "test_refuses_by_what_is_there"),
    "a file that is no list": ("test_refuses_a_file_without_messages",),
    "JSON that is not JSON Lines": ("test_a_bad_row_stops_or_is_skipped",),
    "settings as Windows writes them": ("test_a_file_of_settings_may_come_from_any_editor",),
    "an error whose text can't be had": ("test_every_outcome_is_an_outcome",),
    "a function's module that prints": ("test_what_a_module_prints_is_not_in_the_report",),
}
ATTACKED = {
    "a producer killed, and back": ("test_a_producer_that_was_killed_and_came_back_does_not_keep_it_from_being_done",),
    "finite numbers whose sum is not": ("test_numbers_and_rows_out_of_bounds_are_refused_where_they_come_in",),
    "a collector that lies to who watches": ("test_no_answer_brings_down_who_watches",),
    "a list that is not read to its end": ("test_what_was_not_read_is_told",),
    "a journal whose log is missing": ("test_a_log_that_is_missing_is_told_even_without_its_mark",),
    "a closed standard error": ("test_roles_run_without_standard_error",),
    "a hangup": ("test_a_hangup_is_a_request_to_stop_and_leaves_nothing", "test_a_broker_drains_at_a_hangup"),
    "a parent that is killed": ("test_a_killed_run_leaves_no_process_and_the_next_one_sweeps",),
    "connections that never ask": ("test_who_never_asks_is_let_go",),
    "a standard output that is full": ("test_every_command_bears_a_closed_and_names_a_full_standard_output",),
    "a folder for temporary files with a long path": ("test_temporary_folders_of_every_length_work",),
    "more joins than a connection may have": ("test_the_joined_peers_of_a_key_are_bounded",),
    "an operator's late answer": ("test_an_operator_s_late_answer_is_not_the_next_one_s",),
    "metrics for everybody": ("test_metrics_on_another_address_need_keys_or_a_word",),
    "names that forge log lines": ("test_a_name_is_short_and_printable_wherever_it_stands",),
    "an acknowledgement that is missing": ("test_a_frame_that_is_missing_is_asked_for_and_nothing_is_sent_twice",),
    "a list of keys that can't be read for a moment": (
        "test_a_list_that_changes_is_read_again_and_what_is_wrong_in_it_is_left_out",
    ),
    "an answer that has no room": ("test_rows_that_an_answer_has_no_room_for_are_left_out_and_counted",),
    "a function that exits": ("test_what_would_end_a_program_costs_one_message",),
    "settings that peers don't believe": ("test_no_time_is_longer_than_peers_believe",),
    "brackets without end": ("test_a_file_that_can_not_be_read_is_named",),
    "keys of a cluster's role that was killed": (
        "test_the_folder_of_a_role_that_was_killed_is_swept_and_that_of_a_living_one_is_not",
    ),
}
MET_FIRST = {
    "an older report, and a run that is killed": ("test_an_older_report_survives_a_kill",),
    "a folder that is removed during the run": ("test_a_folder_that_vanished_is_an_error_and_the_report_is_kept",),
    "a full disk at the end": ("test_each_output_that_fails_is_a_line_and_the_others_are_written",),
    "a summary wider than the terminal": ("test_no_line_of_a_summary_is_wider_than_a_terminal",),
    "a shell that completes no files": ("test_every_option_that_is_a_path_completes",),
    "a hint that does not work": (
        "test_hints_name_a_command_that_works_here",
        "test_bin_run_sets_up_what_its_options_need",
    ),
    "a number that is refused without its range": ("test_every_number_that_is_refused_says_what_may_be_given",),
    "exit codes in many places": ("test_the_table_of_exit_codes_is_theirs",),
    "no names of a run": ("test_title_and_tags_are_in_report_summary_and_page",),
    "no look before the start": ("test_a_dry_run_finds_what_a_run_would_refuse",),
    "no verdict for a build server": ("test_a_workflow_of_github_is_told",),
    "no page that compares": ("test_compare_writes_a_page",),
    "no line for every message": ("test_every_message_has_a_row_in_the_log_of_messages",),
    "a rate of 0 where nobody knows": ("test_the_rate_is_not_known_while_a_broker_is_silent",),
    "a screen with more senders than lines": ("test_senders_that_have_no_room_are_on_the_next_pages",),
}
SLIPPED = {
    "a unit behind a number": ("test_a_number_that_is_none_gets_what_to_write_instead",),
    "milliseconds in place of seconds": ("test_what_means_nothing_without_another_setting_is_told",),
    "a report over the list that it is of": ("test_what_one_option_writes_is_no_other_option_s_file",),
    "a folder's name from a variable that is not set": ("test_a_journal_that_can_not_be_is_told_by_a_dry_run",),
    "a variable of another command": ("test_a_variable_that_sets_nothing_here_is_told",),
    "an option that means nothing without another": ("test_what_means_nothing_without_another_setting_is_told",),
    "a port in place of an address": ("test_what_is_no_address_is_refused_in_words",),
    "a time to wait without end": ("test_a_time_to_wait_that_can_not_be_is_refused",),
}


def test_every_situation_has_the_test_that_it_names() -> None:
    here = Path(__file__).parent
    there = {
        name for path in here.rglob("test_*.py") for name in re.findall(r"^def (test_\w+)\(", path.read_text(), re.M)
    }
    for situations in (REPORTED, ATTACKED, MET_FIRST, SLIPPED):
        for situation, tests in situations.items():
            assert tests and set(tests) <= there, f"{situation}: {sorted(set(tests) - there)}"
