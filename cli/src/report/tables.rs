//! The tables of a page, and the sentences above them.

use std::fmt::Write;

use naswot::analysis::drawing::escape;

use super::figures::{Figures, SpaceComparison, grouped, shown, signed};
use super::networks::Networks;
use crate::comparison::{Comparison, Comparisons, FILTER};

/// A table that can be scrolled where it is wider than the page, by keys as well.
fn scrolled(label: &str, table: &str) -> String {
    let label = escape(label);
    format!(
        "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{label}\"><table>{table}</table></div>"
    )
}

pub(super) fn spread(figures: &Figures) -> String {
    let mut table = String::from(
        "<thead><tr><th>finite scores</th><th>networks</th><th>lowest</th><th>median</th>\
         <th>mean</th><th>highest</th><th>standard deviation</th></tr></thead><tbody>",
    );
    for spread in &figures.spreads {
        let deviation = spread.deviation.map_or("none".to_owned(), |deviation| signed(deviation, 2));
        let _ = write!(
            table,
            "<tr><th scope=\"row\">{}</th><td>{}</td>",
            spread.space.title(),
            grouped(spread.networks)
        );
        for value in [spread.least, spread.median, spread.mean, spread.most] {
            let _ = write!(table, "<td>{}</td>", signed(value, 2));
        }
        let _ = write!(table, "<td>{deviation}</td></tr>");
    }
    scrolled("Spread of the scores", &(table + "</tbody>"))
}

pub(super) fn bins(figures: &Figures) -> String {
    let bins = &figures.bins;
    let mut table = String::from("<thead><tr><th>from</th><th>to</th>");
    for spread in &figures.spreads {
        let _ = write!(table, "<th>{}</th>", spread.space.title());
    }
    table.push_str("</tr></thead><tbody>");
    for bin in 0..bins.counts.first().map_or(0, Vec::len) {
        let edge = |bin: usize| signed(bins.start + bin as f64 * bins.width, 2);
        let _ = write!(table, "<tr><td>{}</td><td>{}</td>", edge(bin), edge(bin + 1));
        for counts in &bins.counts {
            let _ = write!(table, "<td>{}</td>", grouped(counts[bin]));
        }
        table.push_str("</tr>");
    }
    scrolled("Bars of the histogram", &(table + "</tbody>"))
}

pub(super) fn against_accuracy(networks: &Networks, figures: &Figures) -> String {
    let Some(accuracy) = &networks.accuracy else { return String::new() };
    let mut text = format!(
        "Accuracy is the column <code>{}</code> of the table. A click on a point opens its network.",
        escape(&accuracy.column)
    );
    for against in &figures.against {
        let Some(trend) = against.trend else { continue };
        let unit = if networks.in_percent() { "\u{a0}%" } else { "" };
        let of =
            if figures.against.len() > 1 { format!(" of {}", against.space.title()) } else { String::new() };
        let _ = write!(
            text,
            " The line{of} is the least-squares regression of accuracy over score: accuracy = {}{unit} {} {:.4}{unit} × score.",
            signed(trend.intercept, 2),
            if trend.slope < 0.0 { '−' } else { '+' },
            trend.slope.abs()
        );
    }
    if figures.against.is_empty() {
        text.push_str(" Fewer than two networks have a score and an accuracy, so nothing can be correlated.");
    }
    text
}

/// The correlations of the networks of a space.
pub(super) fn correlations(networks: &Networks, against: &SpaceComparison) -> String {
    let of =
        if networks.spaces().len() > 1 { format!(" of {}", against.space.title()) } else { String::new() };
    let Comparisons { asked, above_15_percent, scores, sizes } = &against.comparisons;
    let resamples = asked.intervals.map(|all| all.resamples);
    let brackets = resamples.map_or(String::new(), |resamples| {
        format!(" Brackets: 95 % of {} bootstrap resamples.", grouped(resamples))
    });
    let mut table = String::from(
        "<thead><tr><td></td><th>networks</th><th>Kendall tau\u{2011}b</th><th>Spearman rho</th><th>Pearson r</th>\
         <th>weighted tau</th><th>tau-b among equally many convolutions</th></tr></thead><tbody>",
    );
    let label = networks.ranking.label();
    let above =
        above_15_percent.as_ref().filter(|above| above.correlation.networks < asked.correlation.networks);
    let above = above.map(|above| (format!("{label}, accuracy above {FILTER} %"), above));
    let others = scores.iter().chain(sizes.iter()).filter(|(column, _)| column.name != label);
    let others = others.map(|(column, comparison)| (column.title.to_owned(), comparison));
    for (what, comparison) in std::iter::once((networks.ranking.title(), asked)).chain(above).chain(others) {
        let Comparison { correlation, weighted_tau, intervals, kendall_tau_equal_convs } = comparison;
        let infinite = match correlation.infinite {
            0 => String::new(),
            infinite => format!(" <small>{} of −inf</small>", grouped(infinite)),
        };
        let all = [
            grouped(correlation.networks) + &infinite,
            shown(correlation.kendall_tau, intervals.and_then(|all| all.kendall_tau)),
            shown(correlation.spearman, intervals.and_then(|all| all.spearman)),
            shown(correlation.pearson, intervals.and_then(|all| all.pearson)),
            shown(*weighted_tau, None),
            shown(*kendall_tau_equal_convs, None),
        ];
        let _ = write!(table, "<tr><th scope=\"row\">{}</th>", escape(&what));
        for value in all {
            let _ = write!(table, "<td>{value}</td>");
        }
        table.push_str("</tr>");
    }
    let table = scrolled(&format!("Correlation with accuracy{of}"), &(table + "</tbody>"));
    let infinite = infinite(asked);
    format!("<p class=\"caption\">Correlation with accuracy{of}.{brackets}</p>{table}{infinite}")
}

/// What each coefficient makes of scores of minus infinity, where there are any.
fn infinite(asked: &Comparison) -> String {
    let (networks, infinite) = (asked.correlation.networks, asked.correlation.infinite);
    if infinite == 0 {
        return String::new();
    }
    let (have, them, tied) = match infinite {
        1 => ("has", "it", ""),
        _ => ("have", "them", ", all tied"),
    };
    format!(
        "<p class=\"below\">{} of the {} networks {have} a score of −inf. Pearson's r and the regression, which have no \
         place for it, leave {them} out and are of {}. Kendall's tau-b, the weighted tau and Spearman's rho are of ranks, \
         and take −inf for the lowest score{tied}.</p>",
        grouped(infinite),
        grouped(networks),
        grouped(networks - infinite),
    )
}
