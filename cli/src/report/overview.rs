//! What stands first on a page: its title, the tiles, and the notes that a reader has to know before comparing numbers.

use std::fmt::Write;

use naswot::Space;
use naswot::analysis::drawing::escape;

use super::figures::{Figures, RowCounts, SpaceComparison, grouped, shown, signed};
use super::heat::HeatMaps;
use super::networks::Networks;
use super::settings;
use super::trace::Trace;

/// The column of the baseline of scores.
const PARAMETERS: &str = "parameters";

pub(super) fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { many })
}

pub(super) fn title(networks: &Networks) -> String {
    let spaces: Vec<&str> = networks.spaces().into_iter().map(Space::title).collect();
    let of = if spaces.is_empty() { String::new() } else { format!(" of {}", spaces.join(" and ")) };
    let what = if networks.is_naswot() {
        "NASWOT scores".to_owned()
    } else {
        format!("Scores ({})", networks.ranking)
    };
    let over = if networks.trace.is_some() { " over training:" } else { " of" };
    format!("{what}{over} {}{of}", counted_rows(networks, networks.rows.len()))
}

/// A number of rows, as what they are.
fn counted_rows(networks: &Networks, count: usize) -> String {
    match networks.trace {
        Some(_) => counted(count, "checkpoint", "checkpoints"),
        None => counted(count, "network", "networks"),
    }
}

pub(super) fn lede(networks: &Networks, heat: Option<&HeatMaps>) -> String {
    let by = if networks.is_naswot() { "log |det K|".to_owned() } else { networks.ranking.title() };
    let by = escape(&by);
    match networks.trace {
        Some(_) => {
            let kernels = if heat.is_some() { ", with the agreement matrix of each" } else { "" };
            let accuracy = if networks.accuracy.is_some() { ", beside its accuracy there" } else { "" };
            format!("A network scored by {by} at each checkpoint of its training{accuracy}{kernels}.")
        }
        None => {
            let kernels = if heat.is_some() { " with its agreement matrix" } else { "" };
            let accuracy =
                if networks.accuracy.is_some() { ", and what training them has come to" } else { "" };
            format!("Untrained networks, scored by {by}. Every cell{kernels}{accuracy}.")
        }
    }
}

pub(super) fn tiles(networks: &Networks, figures: &Figures, heat: Option<&HeatMaps>) -> String {
    let counts = &figures.counts;
    let rows = if networks.trace.is_some() { "checkpoints" } else { "networks" };
    let mut tiles = vec![
        (rows.to_owned(), grouped(networks.rows.len())),
        ("finite scores".to_owned(), grouped(counts.finite)),
    ];
    let mut tile = |name: &str, value: String| tiles.push((name.to_owned(), value));
    if counts.infinite > 0 {
        tile("scores of −inf", grouped(counts.infinite));
    }
    if counts.failed > 0 {
        tile("failed", grouped(counts.failed));
    }
    if let Some(heat) = heat {
        tile("images, N", grouped(heat.images));
    }
    if networks.accuracy.is_some() {
        let with = networks.rows.iter().filter(|network| network.accuracy.is_some()).count();
        tile("with an accuracy", grouped(with));
    }
    for against in &figures.against {
        let space =
            if figures.against.len() > 1 { format!(", {}", against.space.title()) } else { String::new() };
        for (of, tau) in taus(networks, against) {
            tile(&format!("Kendall tau-b of {}{space}", escape(&of)), tau);
        }
    }
    if let Some(trace) = &networks.trace {
        for (when, score) in ends(networks, trace) {
            tile(&format!("score at the {when}"), signed(score, 2));
        }
    }
    tiles.iter().map(|(name, value)| format!("<div><dt>{name}</dt><dd>{value}</dd></div>")).collect()
}

/// The tau of what networks are ranked by, and that of the number of parameters, which it has to beat.
fn taus(networks: &Networks, against: &SpaceComparison) -> Vec<(String, String)> {
    let comparisons = &against.comparisons;
    let label = networks.ranking.label();
    let baseline =
        comparisons.sizes.iter().find(|(column, _)| column.name == PARAMETERS && label != PARAMETERS);
    let baseline = baseline.map(|(column, comparison)| (column.title.to_owned(), comparison));
    let all = std::iter::once((label, &comparisons.asked)).chain(baseline);
    let tau = |(of, comparison): (String, &crate::comparison::Comparison)| {
        let interval = comparison.intervals.and_then(|all| all.kendall_tau);
        (of, shown(comparison.correlation.kendall_tau, interval))
    };
    all.map(tau).collect()
}

/// The scores at the first and at the last epoch of the training of one network, where they are known.
fn ends(networks: &Networks, trace: &Trace) -> Vec<(&'static str, f64)> {
    let mut rows: Vec<usize> = (0..networks.rows.len()).collect();
    rows.sort_by(|&a, &b| trace.epochs[a].total_cmp(&trace.epochs[b]));
    let one = networks.rows.iter().all(|network| network.row.text("id") == networks.rows[0].row.text("id"));
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Vec::new() };
    if !one || first == last {
        return Vec::new();
    }
    let ends = [("first checkpoint", first), ("last checkpoint", last)];
    ends.into_iter().filter_map(|(when, &row)| Some((when, networks.rows[row].score?))).collect()
}

/// The notes that a reader has to know before comparing numbers.
pub(super) fn notes(networks: &Networks, figures: &Figures) -> String {
    let counts = &figures.counts;
    let mut notes = Vec::new();
    for setting in settings::mixed(networks) {
        notes.push(format!(
            "<li class=\"mixed\">The rows are of different settings: {} is {}. Their scores are not comparable.</li>",
            setting.column.name,
            escape(&setting.shown())
        ));
    }
    let mut note = |count: usize, text: String| {
        if count > 0 {
            notes.push(format!("<li>{text}</li>"));
        }
    };
    if networks.spaces().len() > 1 {
        note(1, "The rows are of two search spaces. Figures are of each by itself.".to_owned());
    }
    let have = |count| if count == 1 { "has" } else { "have" };
    note(counts.infinite, infinite(networks, counts));
    note(
        counts.failed,
        format!(
            "{} failed and {} no score; the {} says why.",
            counted_rows(networks, counts.failed),
            have(counts.failed),
            if networks.trace.is_some() { "table" } else { "gallery" }
        ),
    );
    note(
        counts.repeated,
        format!(
            "{} of a network that an earlier row has. Correlations count the first row of each.",
            counted(counts.repeated, "row is", "rows are")
        ),
    );
    note(
        counts.without_accuracy,
        match networks.trace {
            Some(_) => format!(
                "{} {} no accuracy: the table lacks the epoch.",
                counted_rows(networks, counts.without_accuracy),
                have(counts.without_accuracy)
            ),
            None => format!(
                "{} {} no accuracy in the table.",
                counted(counts.without_accuracy, "network with a score", "networks with a score"),
                have(counts.without_accuracy)
            ),
        },
    );
    let averaged = networks.accuracy.as_ref().map_or(0, |accuracy| accuracy.averaged);
    let of = if networks.trace.is_some() { ("epoch", "epochs") } else { ("network", "networks") };
    note(
        averaged,
        format!(
            "The table has {} more than once; the mean of its accuracies is shown.",
            counted(averaged, of.0, of.1)
        ),
    );
    if notes.is_empty() { String::new() } else { format!("<ul class=\"notes\">{}</ul>", notes.concat()) }
}

/// What becomes of scores of minus infinity.
fn infinite(networks: &Networks, counts: &RowCounts) -> String {
    let singular = if networks.is_naswot() { ": K is singular" } else { "" };
    let have = if counts.infinite == 1 { "has" } else { "have" };
    let without = match networks.trace {
        Some(_) => "the line breaks there",
        None => {
            "the charts, means and deviations leave it out; the gallery lists it, and among ranks it is the lowest"
        }
    };
    let rows = counted_rows(networks, counts.infinite);
    format!("{rows} {have} a score of −inf{singular}. No axis has a place for it, so {without}.")
}

pub(super) fn settings_lists(networks: &Networks) -> String {
    let mut lists = String::new();
    for (title, settings) in settings::groups(networks) {
        let _ = write!(lists, "<div><h4>{title}</h4><dl>");
        for setting in settings {
            let _ = write!(
                lists,
                "<div><dt>{}</dt><dd>{}</dd></div>",
                setting.column.title,
                escape(&setting.shown())
            );
        }
        lists.push_str("</dl></div>");
    }
    lists
}
