//! What a reader of `naswot report` can rely on: the page shows what the rows say, in a real browser, and text from files
//! stays text.

mod common;
#[path = "report/files.rs"]
mod files;
#[path = "report/input.rs"]
mod input;
#[path = "report/large.rs"]
mod large;
#[path = "report/notes.rs"]
mod notes;
#[path = "report/outliers.rs"]
mod outliers;
#[path = "report/real_data.rs"]
mod real_data;
#[path = "report/run.rs"]
mod run;
#[path = "report/tables.rs"]
mod tables;
#[path = "report/trace.rs"]
mod trace;

use std::process::ExitCode;

use common::harness::{Outcome, Requirement::Browser, needs, plain};

fn main() -> ExitCode {
    let browsed = |name: &str, test: fn() -> Outcome| needs(Browser, name, test);
    common::harness::run(vec![
        browsed("a_real_run_can_be_looked_through", run::a_real_run_can_be_looked_through),
        browsed("no_width_is_too_narrow_and_both_themes_can_be_read", run::every_width_and_theme),
        browsed("five_thousand_networks_stay_smooth", large::stays_smooth),
        browsed("text_from_files_is_text", notes::text_from_files_is_text),
        browsed("what_is_not_as_usual_is_said", notes::what_is_not_as_usual_is_said),
        browsed("little_is_shown_as_it_is", notes::little_is_shown_as_it_is),
        browsed("a_trace_is_shown_over_its_epochs", trace::is_shown_over_its_epochs),
        browsed(
            "networks_without_a_score_are_left_out_where_they_must_be_and_that_is_said",
            tables::minus_infinity_is_said,
        ),
        browsed("what_the_highest_scores_are_worth_is_shown", tables::the_top_is_shown),
        browsed("wide_tables_show_that_they_scroll", tables::show_that_they_scroll),
        browsed("outliers_are_hidden_and_named", outliers::are_hidden_and_named),
        real_data::trial("real_accuracies_of_nasbench201", real_data::nasbench201),
        real_data::trial("real_accuracies_of_nasbench101", real_data::nasbench101),
        plain("five_thousand_networks_are_under_20_mb", large::is_small),
        plain("bad_input_is_named", input::bad_input_is_named),
        plain("an_output_that_exists_is_replaced_only_when_told", input::existing_outputs),
        plain("rows_in_other_forms_make_the_same_page", input::rows_in_other_forms_make_the_same_page),
    ])
}
