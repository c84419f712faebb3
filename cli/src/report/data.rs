//! The data that the page's scripts draw, as JSON.
//!
//! Columns whose values are all equal are one value, texts that come again stand once, and cells that have one shape share
//! it: thousands of networks are a few megabytes.

use std::collections::{BTreeMap, HashMap};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use naswot::Architecture;
use naswot::analysis::Trend;
use naswot::analysis::drawing::{Direction, Kind, Layout, sequential};
use serde::Serialize;
use serde_json::{Map, Value};

use super::figures::{Bins, Figures, TopNetworks};
use super::heat::HeatMaps;
use super::networks::Networks;
use super::trace::Trace;
use crate::columns::{self, COLUMNS};
use crate::exit::{Failure, Result};
use crate::field::Field;
use crate::measure;

/// Number of colors in the sequential scale.
const SHADES: u32 = 256;

/// The data of a page.
#[derive(Serialize)]
struct PageData<'a> {
    /// Number of rows.
    networks: usize,
    /// Names of the columns, in order.
    order: Vec<String>,
    /// The column that networks are ranked by, and what an axis of it says.
    score: (&'a str, String),
    /// Columns of the other scores that there are.
    others: Vec<&'static str>,
    /// Columns that say how large networks are.
    sizes: Vec<&'static str>,
    columns: Map<String, Value>,
    /// Name of the accuracy and whether it is in percent.
    accuracy: Option<(&'a str, bool)>,
    /// Rows of a network that an earlier row has.
    repeated: Vec<usize>,
    /// Names of the spaces that the rows are of.
    spaces: Vec<&'static str>,
    /// Their titles, by name.
    titles: BTreeMap<&'static str, &'static str>,
    bins: &'a Bins,
    trends: Vec<(&'static str, Trend)>,
    tops: Vec<&'a TopNetworks>,
    /// Of a trace, what its epochs are; they and the files of the checkpoints are columns.
    trace: Option<&'static str>,
    kinds: Vec<BoxStyle>,
    shapes: Vec<Value>,
    /// Shape, and the kinds of its boxes as digits; null where the network is not known.
    cells: Vec<Option<(usize, String)>>,
    heat: Option<HeatMapData>,
    shades: Vec<String>,
}

/// The style of the boxes of a kind.
#[derive(Serialize)]
struct BoxStyle {
    label: &'static str,
    operation: bool,
    fill: Option<String>,
    text: Option<String>,
    none: bool,
}

/// The heat maps of a page.
#[derive(Serialize)]
struct HeatMapData {
    side: usize,
    block: usize,
    images: usize,
    least: f64,
    /// Squares on and below the diagonal, one byte each, of all networks with a score.
    squares: String,
}

/// The data of a page as JSON.
pub(super) fn json(networks: &Networks, figures: &Figures, heat: Option<&HeatMaps>) -> Result<String> {
    let ranking = networks.ranking.label();
    let mut columns = Map::new();
    let mut order: Vec<String> = Vec::new();
    for (place, column) in COLUMNS.iter().enumerate() {
        let fields = networks.rows.iter().map(|network| value(&network.row.fields()[place]));
        order.push(column.name.to_owned());
        columns.insert(column.name.to_owned(), packed(fields.collect()));
        if column.name == "score" {
            if columns::find(&ranking).is_none() {
                let scores = networks.rows.iter().map(|network| value(&Field::real(network.score)));
                order.push(ranking.clone());
                columns.insert(ranking.clone(), packed(scores.collect()));
            }
            let accuracies = networks.rows.iter().map(|network| rounded(network.accuracy)).collect();
            order.push("accuracy".to_owned());
            columns.insert("accuracy".to_owned(), packed(accuracies));
        }
    }
    if let Some(Trace { epochs, files, .. }) = &networks.trace {
        let epochs = epochs.iter().map(|&epoch| value(&Field::Real(epoch))).collect();
        let files = files.iter().map(|file| file.as_str().into()).collect();
        for (name, values) in [("epoch", epochs), ("checkpoint", files)] {
            order.push(name.to_owned());
            columns.insert(name.to_owned(), packed(values));
        }
    }
    let (shapes, cells) = cells(networks);
    let kind = |kind: Kind| BoxStyle {
        label: kind.label(),
        operation: kind.is_operation(),
        fill: kind.fill().map(|color| color.to_string()),
        text: kind.fill().map(|color| color.text().to_string()),
        none: kind == Kind::None,
    };
    let trends = figures.against.iter().filter_map(|against| Some((against.space.name(), against.trend?)));
    let data = PageData {
        networks: networks.rows.len(),
        score: (&ranking, networks.ranking.title()),
        others: others(networks),
        sizes: measure::sizes().map(|column| column.name).filter(|name| *name != ranking).collect(),
        order,
        columns,
        accuracy: networks
            .accuracy
            .as_ref()
            .map(|accuracy| (accuracy.column.as_str(), networks.in_percent())),
        repeated: (0..networks.rows.len()).filter(|&row| networks.rows[row].repeated).collect(),
        spaces: networks.spaces().into_iter().map(naswot::Space::name).collect(),
        titles: networks.spaces().into_iter().map(|space| (space.name(), space.title())).collect(),
        bins: &figures.bins,
        trends: trends.collect(),
        tops: figures.against.iter().filter_map(|against| against.top.as_ref()).collect(),
        trace: networks.trace.as_ref().map(|trace| trace.label),
        kinds: Kind::ALL.into_iter().map(kind).collect(),
        shapes,
        cells,
        heat: heat.map(|heat| HeatMapData {
            side: heat.side,
            block: heat.block,
            images: heat.images,
            least: heat.least,
            squares: BASE64_STANDARD.encode(&heat.squares),
        }),
        shades: (0..SHADES).map(|i| sequential(f64::from(i) / f64::from(SHADES - 1)).to_string()).collect(),
    };
    serde_json::to_string(&data).map_err(Failure::stopped)
}

/// The columns of scores that some row has, but for what networks are ranked by.
fn others(networks: &Networks) -> Vec<&'static str> {
    let is_there = |name: &&str| networks.rows.iter().any(|network| network.row.number(name).is_some());
    let names = measure::scores().map(|(_, column)| column.name);
    names.filter(|name| *name != networks.ranking.label()).filter(is_there).collect()
}

fn value(field: &Field) -> Value {
    match field {
        Field::Empty => Value::Null,
        Field::Integer(value) => (*value).into(),
        Field::Real(value) if value.is_finite() => (*value).into(),
        // JSON has no infinity.
        Field::Real(_) | Field::Text(_) => field.to_string().into(),
    }
}

/// An accuracy without the digits that multiplying a fraction has left.
fn rounded(accuracy: Option<f64>) -> Value {
    accuracy.map_or(Value::Null, |accuracy| ((accuracy * 1e6).round() / 1e6).into())
}

/// A column: one value where all are equal, else one a network, texts by their place among the different ones.
fn packed(values: Vec<Value>) -> Value {
    if values.iter().all(|value| *value == values[0]) {
        return serde_json::json!({ "same": values[0] });
    }
    if !values.iter().any(Value::is_string) {
        return serde_json::json!({ "each": values });
    }
    let mut different: Vec<Value> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut place = |value: &Value| {
        *places.entry(value.to_string()).or_insert_with(|| {
            different.push(value.clone());
            different.len() - 1
        })
    };
    let at: Vec<usize> = values.iter().map(&mut place).collect();
    if different.len() * 2 > values.len() {
        return serde_json::json!({ "each": values });
    }
    serde_json::json!({ "of": different, "at": at })
}

/// The shapes of the cells, and each network's shape with the kinds of its boxes.
fn cells(networks: &Networks) -> (Vec<Value>, Vec<Option<(usize, String)>>) {
    let mut shapes = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut cell = |architecture: &Architecture| {
        let layout = Layout::new(architecture, Direction::TopToBottom);
        let kinds = layout.nodes.iter().map(|node| {
            let place = Kind::ALL.iter().position(|&kind| kind == node.kind);
            let digit = place.and_then(|place| char::from_digit(place as u32, 36));
            digit.unwrap_or_else(|| unreachable!("{:?} is one of 36 kinds at most", node.kind))
        });
        let kinds = kinds.collect();
        let shape = shape(&layout);
        let place = *places.entry(shape.to_string()).or_insert_with(|| {
            shapes.push(shape);
            shapes.len() - 1
        });
        (place, kinds)
    };
    let cells = networks.rows.iter().map(|network| network.architecture.as_ref().map(&mut cell)).collect();
    (shapes, cells)
}

/// The shape of a cell: size, boxes as (x, y, width, height), edges as (from, to, path).
fn shape(layout: &Layout) -> Value {
    let boxes: Vec<_> = layout.nodes.iter().map(|node| [node.x, node.y, node.width, node.height]).collect();
    let edges = layout.edges.iter().map(|edge| (edge.from, edge.to, edge.svg_path(layout.direction)));
    let edges: Vec<_> = edges.collect();
    serde_json::json!({ "size": [layout.width, layout.height], "boxes": boxes, "edges": edges })
}
