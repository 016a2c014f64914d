"""What has gone wrong once, in words, and the test that each has now; faults 1 to 32 are in docs/RELIABILITY.md.

The numbered faults that follow those, and four lists: what people report of programs of this kind, attacks, a
newcomer's first hour, and slips of the hand.
"""

from __future__ import annotations

import re
from pathlib import Path

FAULTS = {
    33: ("test_the_memory_of_settled_batches_goes_wherever_a_slow_one_stands",),
    34: (
        "test_failures_of_many_acknowledgements_wait_in_a_bounded_number_of_objects",
        "test_the_failures_of_an_acknowledgement_are_a_handful_of_lots_whatever_pieces_they_are_of",
    ),
    35: ("test_a_sender_that_fills_its_slots_beside_idle_ones_stands_in_line_once",),
    36: ("test_row_36_an_acknowledgement_that_is_lost_is_said_again_and_nothing_is_sent_twice",),
    37: ("test_a_key_that_goes_while_it_is_looked_at_goes_alone", "test_files_that_come_and_go_never_empty_the_list"),
    38: ("test_a_batch_of_a_clock_that_is_gone_is_no_older_than_the_broker",),
    39: ("test_a_broker_that_starts_again_without_a_journal_is_seen",),
    40: ("test_numbers_and_rows_out_of_bounds_are_refused_where_they_come_in",),
    41: ("test_a_name_is_short_and_printable_wherever_it_stands", "test_a_line_is_one_line_and_moves_no_terminal"),
    42: ("test_rows_that_an_answer_has_no_room_for_are_left_out_and_counted",),
    43: ("test_what_can_not_is_refused", "test_what_would_end_a_program_costs_one_message"),
    44: (
        "test_streams_that_are_closed_full_or_broken_change_nothing",
        "test_a_hangup_is_a_request_to_stop_and_leaves_nothing",
        "test_a_signal_to_everybody_at_once_is_as_one_to_the_run",
        "test_a_killed_run_leaves_no_process_and_the_next_one_sweeps",
    ),
    45: ("test_what_was_not_read_is_told",),
    46: (
        "test_a_new_rate_is_divided_among_the_producers_and_told_once",
        "test_an_operator_s_late_answer_is_not_the_next_one_s",
    ),
    47: ("test_a_broker_s_name_may_resolve_later", "test_of_two_addresses_the_one_that_answers_is_taken"),
    48: ("test_a_throttled_link_is_slowed_and_not_stopped", "test_answers_are_late_lost_twice_and_in_another_order"),
    49: (
        "test_a_standby_takes_over_from_a_broker_that_is_killed",
        "test_a_frozen_broker_wakes_beside_its_successor_and_ends_with_that_reason",
    ),
}
"""By number."""
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
    "a liveness below what pings allow": ("test_the_broker_must_look_at_least_five_times_within_the_liveness",),
    "a number with more behind it": ("test_refuses_by_what_is_there", "test_a_tail_is_never_part_of_the_number"),
    "a header that is not in the first line": ("test_refuses_a_file_without_messages",),
    "a file that is no list": ("test_refuses_a_file_without_messages",),
    "JSON that is not JSON Lines": ("test_a_bad_row_stops_or_is_skipped",),
    "settings as Windows writes them": ("test_a_file_of_settings_may_come_from_any_editor",),
    "an error whose text can't be had": ("test_every_outcome_is_an_outcome",),
    "a function's module that prints": ("test_what_a_module_prints_is_not_in_the_report",),
    "a sender that is killed, and its log of messages": (
        "test_a_sender_acknowledges_nothing_of_which_there_is_no_row",
    ),
    "a function that forks": ("test_a_function_that_forks_is_called_once_for_each_message",),
    "a function that closes what others write to": ("test_a_stream_that_a_function_closes_stays_open_for_others",),
    "a batch system's signals": ("test_what_batch_systems_send_asks_for_an_end",),
    "children that are not to be waited for": ("test_a_run_bears_that_its_children_are_not_to_be_waited_for",),
    "a machine that starts no more threads": ("test_without_threads_libzmq_is_not_given_the_chance_to_abort",),
    "senders that were all stopped": ("test_it_is_said_who_is_waited_for",),
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
    "a steady time where nothing waited": ("test_without_a_backlog_there_is_no_steady_time",),
    "a name that never ends": ("test_names_are_printable_short_and_not_empty",),
    "a token that is printed": ("test_the_token_comes_from_a_file_or_from_the_environment",),
    "an address where one can only listen": ("test_where_one_only_listens_nobody_connects_to",),
    "a name that no host can have": ("test_a_name_that_no_host_can_have_is_refused",),
    "a dashboard that hears nothing": ("test_the_dashboard_says_what_the_monitor_says",),
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
    "a rate that was asked for": ("test_the_rate_reached_is_of_the_time_between",),
    "figures that are old": ("test_old_figures_are_marked_at_the_top_and_have_no_rate",),
    "a program that ends with messages left": ("test_a_stop_drains_as_long_as_something_is_settled",),
    "a run to go on with": ("test_a_run_with_a_journal_says_so_and_leaves_it",),
    "a wait without end": (
        "test_a_monitor_gives_up_after_its_timeout",
        "test_a_producer_without_a_broker_gives_up_after_its_timeout",
    ),
    "a traceback for each message": ("test_errors_are_counted_by_kind_and_each_kind_is_said_once",),
    "a second run of a mesh": ("test_a_mesh_runs_once",),
    "an option of another type": ("test_what_is_of_another_type_is_named",),
    "names that Tab does not know": ("test_every_public_name_can_be_found_and_had",),
    "a mesh that is cancelled": ("test_a_mesh_that_is_cancelled_is_gone_at_once",),
    "a function for a mesh": ("test_a_mesh_calls_the_function_and_its_report_says_why_sends_failed",),
    "one of several": ("test_one_is_not_several", "test_what_people_read_counts_with_the_one_function"),
    "a folder that is gone": ("test_a_current_folder_that_is_gone_is_named",),
    "a log of messages that lacks rows": ("test_a_log_of_messages_that_lacks_rows_is_a_problem_of_the_run",),
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
    for situations in (FAULTS, REPORTED, ATTACKED, MET_FIRST, SLIPPED):
        for situation, tests in situations.items():
            assert tests and set(tests) <= there, f"{situation}: {sorted(set(tests) - there)}"


def test_no_numbered_fault_is_left_out() -> None:
    text = (Path(__file__).parents[1] / "docs" / "RELIABILITY.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ((?:[0-9]+\.,? )+)", text, re.MULTILINE)
    documented = {int(number) for row in rows for number in re.findall("[0-9]+", row)}
    assert documented | FAULTS.keys() == set(range(1, 50))
