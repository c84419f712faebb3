//! The page: its parts put into the template.
//!
//! Text from files goes through [`escape`], and what scripts read through [`script_safe`]. Besides, the page's policy lets no
//! script run but the two whose digests it names, and nothing be loaded.

use std::fmt::Write;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use naswot::analysis::drawing::escape;
use sha2::{Digest, Sha256};

use super::data;
use super::figures::{Figures, signed};
use super::heat::HeatMaps;
use super::networks::Networks;
use super::overview::{lede, notes, settings_lists, tiles, title};
use super::tables::{against_accuracy, bins, correlations, spread};
use crate::exit::Result;

const TEMPLATE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/style.css");
const SCRIPTS: [&str; 8] = [
    include_str!("page/model.js"),
    include_str!("page/pictures.js"),
    include_str!("page/detail.js"),
    include_str!("page/gallery.js"),
    include_str!("page/outliers.js"),
    include_str!("page/charts.js"),
    include_str!("page/trace.js"),
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
    let scale = heat.map_or(String::new(), scale);
    let is_trace = networks.trace.is_some();
    let hidden = |hide: bool| if hide { "hidden" } else { "" };
    let parts = [
        ("policy", policy.as_str()),
        ("version", env!("CARGO_PKG_VERSION")),
        ("title", &title),
        ("style", &style),
        ("lede", &lede(networks, heat)),
        ("without_scores", hidden(is_trace || figures.counts.finite == 0)),
        ("without_accuracy", hidden(is_trace || networks.accuracy.is_none() || figures.counts.finite == 0)),
        ("without_trace", hidden(!is_trace)),
        ("without_gallery", hidden(is_trace && heat.is_none())),
        ("without_filter", hidden(is_trace)),
        ("gallery", if is_trace { "Checkpoints" } else { "Gallery" }),
        ("epochs", &trace_text(networks)),
        ("tiles", &tiles(networks, &figures, heat)),
        ("notes", &notes(networks, &figures)),
        ("settings", &settings_lists(networks)),
        ("extremes", &extremes(&figures, heat)),
        ("scale", if is_trace { "" } else { &scale }),
        ("trace_scale", if is_trace { &scale } else { "" }),
        ("without_epoch_accuracy", hidden(networks.accuracy.is_none())),
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

/// What the charts of a trace show.
fn trace_text(networks: &Networks) -> String {
    let accuracy = networks.accuracy.as_ref().map_or(String::new(), |accuracy| {
        format!(
            " Below it, the accuracy of its epoch: the column <code>{}</code> of the table.",
            escape(&accuracy.column)
        )
    });
    format!("The score of each checkpoint.{accuracy} A click on a point opens its checkpoint.")
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
         from the least of all that are shown to 1, which an image has with itself.{squares}</p></div>",
        signed(heat.least, 3)
    )
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
