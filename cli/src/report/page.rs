//! The page: its parts put into the template.
//!
//! Text from files goes through [`escape`], and what scripts read through [`script_safe`]. Besides, the page's policy lets no
//! script run but the two whose digests it names, and nothing be loaded.

use std::fmt::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use naswot::Space;
use naswot::analysis::drawing::escape;
use sha2::{Digest, Sha256};

use super::data;
use super::figures::{Figures, SpaceComparison, grouped, shown, signed};
use super::heat::HeatMaps;
use super::networks::Networks;
use super::settings;
use crate::comparison::{Comparison, Comparisons, FILTER};
use crate::exit::Result;

const TEMPLATE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/style.css");
const SCRIPTS: [&str; 6] = [
    include_str!("page/model.js"),
    include_str!("page/pictures.js"),
    include_str!("page/detail.js"),
    include_str!("page/gallery.js"),
    include_str!("page/charts.js"),
    include_str!("page/main.js"),
];
const CHARTS: &str = include_str!("vendor/chart.umd.min.js");
const CHARTS_LICENSE: &str = include_str!("vendor/chart.LICENSE.md");

/// The whole page, with so many resamples for the intervals of correlations.
pub fn page(networks: &Networks, heat: Option<&HeatMaps>, resamples: usize) -> Result<String> {
    let figures = Figures::of(networks, resamples)?;
    let data = script_safe(&data::json(networks, &figures, heat)?);
    let style = lines(STYLE);
    let script = format!("{{\n\"use strict\";\n{}}}\n", lines(&SCRIPTS.concat()));
    // Without the address of a map that would be looked for.
    let charts = CHARTS.split("//# sourceMappingURL").next().unwrap_or(CHARTS);
    let charts = lines(&format!("/*\n{CHARTS_LICENSE}*/\n{charts}"));
    let (style_digest, charts_digest, script_digest) = (digest(&style), digest(&charts), digest(&script));
    let policy = format!(
        "default-src 'none'; script-src '{charts_digest}' '{script_digest}'; style-src '{style_digest}'; \
         img-src data:; base-uri 'none'; form-action 'none'"
    );
    let title = escape(&title(networks)).into_owned();
    let hidden = |hide: bool| if hide { "hidden" } else { "" };
    let parts = [
        ("policy", policy.as_str()),
        ("version", env!("CARGO_PKG_VERSION")),
        ("title", &title),
        ("style", &style),
        ("lede", &lede(networks, heat)),
        ("without_scores", hidden(figures.counts.finite == 0)),
        ("without_accuracy", hidden(networks.accuracy.is_none() || figures.counts.finite == 0)),
        ("tiles", &tiles(networks, &figures, heat)),
        ("notes", &notes(networks, &figures)),
        ("settings", &settings_lists(networks)),
        ("extremes", &extremes(&figures, heat)),
        ("scale", &heat.map_or(String::new(), scale)),
        ("spread", &spread(&figures)),
        ("bins", &bins(&figures)),
        ("accuracy", &against_accuracy(networks, &figures)),
        (
            "correlations",
            &figures.against.iter().map(|against| correlations(networks, against)).collect::<String>(),
        ),
        ("file", &escape(&networks.name)),
        ("data", &data),
        ("charts", &charts),
        ("script", &script),
    ];
    Ok(fill(TEMPLATE, &parts))
}

/// Puts parts in the places `{{name}}` of a template, and not in those of parts.
fn fill(template: &str, parts: &[(&str, &str)]) -> String {
    let mut page = String::new();
    let mut rest = template;
    while let Some((before, from)) = rest.split_once("{{") {
        let (name, after) = from.split_once("}}").unwrap_or_else(|| unreachable!("a place ends: {from}"));
        let part = parts.iter().find(|(part, _)| *part == name);
        let (_, text) = part.unwrap_or_else(|| unreachable!("the template asks for `{name}`"));
        page.push_str(before);
        page.push_str(text);
        rest = after;
    }
    page + rest
}

/// JSON in which nothing can end a script or begin a comment.
fn script_safe(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                // A `String` takes everything.
                let _ = write!(safe, "\\u{:04x}", u32::from(c));
            }
            c => safe.push(c),
        }
    }
    safe
}

/// Text with the line ends that a browser gives it, whatever those of the sources are.
fn lines(text: &str) -> String {
    text.replace("\r\n", "\n")
}

fn digest(text: &str) -> String {
    format!("sha256-{}", BASE64_STANDARD.encode(Sha256::digest(text)))
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { many })
}

fn title(networks: &Networks) -> String {
    let spaces: Vec<&str> = networks.spaces().into_iter().map(Space::title).collect();
    let of = if spaces.is_empty() { String::new() } else { format!(" of {}", spaces.join(" and ")) };
    let what = if networks.is_naswot() {
        "NASWOT scores".to_owned()
    } else {
        format!("Scores ({})", networks.ranking)
    };
    format!("{what} of {}{of}", counted(networks.rows.len(), "network", "networks"))
}

fn lede(networks: &Networks, heat: Option<&HeatMaps>) -> String {
    let kernels = if heat.is_some() { " with its agreement matrix" } else { "" };
    let accuracy = if networks.accuracy.is_some() { ", and what training them has come to" } else { "" };
    let by = if networks.is_naswot() { "log |det K|".to_owned() } else { networks.ranking.title() };
    format!("Untrained networks, scored by {}. Every cell{kernels}{accuracy}.", escape(&by))
}

fn tiles(networks: &Networks, figures: &Figures, heat: Option<&HeatMaps>) -> String {
    let counts = &figures.counts;
    let mut tiles =
        vec![("networks", grouped(networks.rows.len())), ("finite scores", grouped(counts.finite))];
    if counts.infinite > 0 {
        tiles.push(("scores of −inf", grouped(counts.infinite)));
    }
    if counts.failed > 0 {
        tiles.push(("failed", grouped(counts.failed)));
    }
    if let Some(heat) = heat {
        tiles.push(("images, N", grouped(heat.images)));
    }
    if networks.accuracy.is_some() {
        tiles.push((
            "with an accuracy",
            grouped(networks.rows.iter().filter(|network| network.accuracy.is_some()).count()),
        ));
    }
    if let [against] = &figures.against[..] {
        tiles.push(("Kendall tau-b", shown(against.comparisons.asked.correlation.kendall_tau, None)));
    }
    tiles.iter().map(|(name, value)| format!("<div><dt>{name}</dt><dd>{value}</dd></div>")).collect()
}

/// The notes that a reader has to know before comparing numbers.
fn notes(networks: &Networks, figures: &Figures) -> String {
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
    let singular = if networks.is_naswot() { ": K is singular" } else { "" };
    let have = |count| if count == 1 { "has" } else { "have" };
    note(
        counts.infinite,
        format!(
            "{} {} a score of −inf{singular}. No axis has a place for it, so the charts leave it out; the gallery lists \
             it, and among ranks it is the lowest.",
            counted(counts.infinite, "network", "networks"),
            have(counts.infinite)
        ),
    );
    note(
        counts.failed,
        format!(
            "{} no score; the gallery says why.",
            match counts.failed {
                1 => "1 network failed and has".to_owned(),
                n => format!("{} networks failed and have", grouped(n)),
            }
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
        format!(
            "{} {} no accuracy in the table.",
            counted(counts.without_accuracy, "network with a score", "networks with a score"),
            have(counts.without_accuracy)
        ),
    );
    let averaged = networks.accuracy.as_ref().map_or(0, |accuracy| accuracy.averaged);
    note(
        averaged,
        format!(
            "The table has {} more than once; the mean of its accuracies is shown.",
            counted(averaged, "network", "networks")
        ),
    );
    if notes.is_empty() { String::new() } else { format!("<ul class=\"notes\">{}</ul>", notes.concat()) }
}

fn settings_lists(networks: &Networks) -> String {
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

fn extremes(figures: &Figures, heat: Option<&HeatMaps>) -> String {
    let kernels = if heat.is_some() { ", each with its agreement matrix K" } else { "" };
    let infinite = if figures.counts.infinite > 0 { " Those of −inf stand in the gallery." } else { "" };
    format!("The networks of the highest and the lowest finite score{kernels}.{infinite}")
}

/// The color bar of the heat maps.
fn scale(heat: &HeatMaps) -> String {
    let squares = match heat.block {
        1 => String::new(),
        block => format!(" Each square is the mean over {block}\u{a0}×\u{a0}{block} pairs of images."),
    };
    format!(
        "<div class=\"scale\"><span>{}</span><canvas role=\"img\" aria-label=\"Colors from dark violet to yellow\"></canvas>\
         <span>1</span><p>K / N<sub>A</sub>, the share of ReLU bits in which two images agree: one scale for every heat map, \
         from the least of all networks to 1, which an image has with itself.{squares}</p></div>",
        signed(heat.least, 3)
    )
}

fn spread(figures: &Figures) -> String {
    let mut table = String::from(
        "<div class=\"scroll\"><table><thead><tr><th>finite scores</th><th>networks</th><th>lowest</th><th>median</th>\
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
    table + "</tbody></table></div>"
}

fn bins(figures: &Figures) -> String {
    let bins = &figures.bins;
    let mut table = String::from("<div class=\"scroll\"><table><thead><tr><th>from</th><th>to</th>");
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
    table + "</tbody></table></div>"
}

fn against_accuracy(networks: &Networks, figures: &Figures) -> String {
    let Some(accuracy) = &networks.accuracy else { return String::new() };
    let mut text = format!(
        "Accuracy is the column <code>{}</code> of the table. A click on a point opens its network.",
        escape(&accuracy.column)
    );
    for against in &figures.against {
        let Some(trend) = against.trend else { continue };
        let unit = if networks.in_percent() { " %" } else { "" };
        let of =
            if figures.against.len() > 1 { format!(" of {}", against.space.title()) } else { String::new() };
        let _ = write!(
            text,
            " The line{of} is the least squares fit: accuracy = {}{unit} {} {:.4}{unit} × score.",
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

fn correlations(networks: &Networks, against: &SpaceComparison) -> String {
    let of =
        if networks.spaces().len() > 1 { format!(" of {}", against.space.title()) } else { String::new() };
    let Comparisons { asked, above_15_percent, scores, sizes } = &against.comparisons;
    let resamples = asked.intervals.map(|all| all.resamples);
    let brackets = resamples.map_or(String::new(), |resamples| {
        format!(" Brackets: 95 % of {} bootstrap resamples.", grouped(resamples))
    });
    let mut table = format!(
        "<p class=\"caption\">Correlation with accuracy{of}.{brackets}</p><div class=\"scroll\"><table><thead><tr><td></td>\
         <th>networks</th><th>Kendall tau-b</th><th>Spearman rho</th><th>Pearson r</th>\
         <th>tau-b among equally many convolutions</th></tr></thead><tbody>"
    );
    let label = networks.ranking.label();
    let above =
        above_15_percent.as_ref().filter(|above| above.correlation.networks < asked.correlation.networks);
    let above = above.map(|above| (format!("{label}, accuracy above {FILTER} %"), above));
    let others = scores.iter().chain(sizes.iter()).filter(|(column, _)| column.name != label);
    let others = others.map(|(column, comparison)| (column.title.to_owned(), comparison));
    for (what, comparison) in std::iter::once((networks.ranking.title(), asked)).chain(above).chain(others) {
        let Comparison { correlation, intervals, kendall_tau_equal_convs, .. } = comparison;
        let all = [
            shown(correlation.kendall_tau, intervals.and_then(|all| all.kendall_tau)),
            shown(correlation.spearman, intervals.and_then(|all| all.spearman)),
            shown(correlation.pearson, intervals.and_then(|all| all.pearson)),
            shown(*kendall_tau_equal_convs, None),
        ];
        let what = escape(&what);
        let _ = write!(table, "<tr><th scope=\"row\">{what}</th><td>{}</td>", grouped(correlation.networks));
        for value in all {
            let _ = write!(table, "<td>{value}</td>");
        }
        table.push_str("</tr>");
    }
    table + "</tbody></table></div>"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_json_ends_a_script() {
        let text = "</script><!-- & \u{2028}\u{2029} é";
        let json = serde_json::to_string(text).unwrap();
        let safe = script_safe(&json);
        assert!(!safe.contains(['<', '>', '&', '\u{2028}', '\u{2029}']), "{safe}");
        assert_eq!(serde_json::from_str::<String>(&safe).unwrap(), text);
    }

    #[test]
    fn parts_are_no_templates() {
        assert_eq!(fill("a {{x}} b {{y}}{{x}}", &[("x", "{{y}}"), ("y", "1")]), "a {{y}} b 1{{y}}");
    }
}
