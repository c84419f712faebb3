//! `naswot plot`: one picture of scores, of a cell or of kernels.

mod heat_maps;
mod options;

use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand, ValueEnum};
use naswot::Agreement;
use naswot::analysis::drawing::{
    Against, Direction, Theme, TracePoint, cell_svg, heat_map_svg, histogram_svg, matrix_svg, scatter_svg,
    trace_svg,
};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::accuracies::{Accuracies, AccuracyOptions, Unit};
use crate::architecture_arg::ArchitectureArg;
use crate::columns::{self, Column};
use crate::console::Console;
use crate::correlate::{Infinite, PairedScores};
use crate::exit::{Failure, Result};
use crate::measure::{Measure, Ranking, sizes};
use crate::minus_inf::{MinusInfOption, MinusInfReader};
use crate::scored::{ScoredFile, ScoredNetwork, measure_column};
use crate::sweep::RESULTS;
use crate::table::Table;
use crate::text::{cut, shortened};
use crate::text_file;
use heat_maps::HeatMapsPlot;
use options::{AxisOptions, PictureOptions, ShadeOptions, drawn};

const EXAMPLES: &str = "\
Examples:
  naswot plot scatter scores.csv -o scatter.svg \\
      --accuracy nasbench201.csv --column cifar10_test
  naswot plot heat-map kernels/0.npy -o k.png
  naswot plot heat-maps scores.csv --kernels kernels -o figure1.pdf \\
      --accuracy accuracies.csv
  naswot plot cell scores.csv --row 17 -o cell.svg
  naswot sweep cells.jsonl --seed 0,1,2 --json > sweep.json
  naswot plot matrix sweep.json -o sweep.svg

Colors can be told apart by color-blind readers. A PNG has its own font, and is the same on every machine.";

/// Draw one picture, as SVG, PNG or PDF
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Plot {
    #[command(subcommand)]
    kind: PictureKind,
}

#[derive(Subcommand, Debug)]
enum PictureKind {
    Scatter(ScatterPlot),
    Histogram(HistogramPlot),
    HeatMap(HeatMapPlot),
    HeatMaps(HeatMapsPlot),
    Cell(CellPlot),
    Matrix(MatrixPlot),
    Trace(TracePlot),
}

/// Scores against accuracies, or against parameters
///
/// With Kendall's tau-b and Pearson's r, which for parameters and macs is that of their logarithms, and against accuracies the
/// least-squares line of accuracy over score.
/// Networks that failed or have no accuracy are left out; of one that stands there more than once, the first row counts.
#[derive(Args, Debug)]
struct ScatterPlot {
    /// Scores: rows of `naswot score`, or a table in CSV, JSON lines or Parquet; `-` is standard input
    #[arg(value_name = "SCORES")]
    scores: PathBuf,
    /// Table of accuracies, as `naswot correlate` reads it
    #[arg(long, value_name = "TABLE", conflicts_with = "against")]
    accuracy: Option<PathBuf>,
    #[command(flatten)]
    join: AccuracyOptions,
    /// Without a table: what to draw scores against
    #[arg(long, value_name = "WHAT", default_value = "parameters", value_parser = size())]
    against: &'static Column,
    /// What to draw: a score (nwot, swap, meco, ..), any column of numbers, or several of them with `+` between, which are added up by
    /// the logarithms of their ranks
    #[arg(long, value_name = "NAME", default_value = "nwot", value_parser = Ranking::parse)]
    score: Ranking,
    #[command(flatten)]
    minus_inf: MinusInfOption,
    #[command(flatten)]
    axis: AxisOptions,
    #[command(flatten)]
    picture: PictureOptions,
}

/// Parses the name of a column that says how large networks are.
fn size() -> impl TypedValueParser<Value = &'static Column> {
    PossibleValuesParser::new(sizes().map(|column| column.name))
        .try_map(|name| columns::find(&name).ok_or("is no column"))
}

/// The distribution of scores
#[derive(Args, Debug)]
struct HistogramPlot {
    /// Scores: rows of `naswot score`, or a table in CSV, JSON lines or Parquet; `-` is standard input
    #[arg(value_name = "SCORES")]
    scores: PathBuf,
    /// What to draw: a score (nwot, swap, meco, ..), or any column of numbers
    #[arg(long, value_name = "NAME", default_value = "nwot", value_parser = Measure::of_file)]
    score: Measure,
    #[command(flatten)]
    minus_inf: MinusInfOption,
    #[command(flatten)]
    axis: AxisOptions,
    #[command(flatten)]
    picture: PictureOptions,
}

/// An agreement matrix K, as `naswot score --kernels` writes it
///
/// Colors go from the smallest entry to N_A, the number of bits, unless told otherwise. Of more than 128 images, squares of
/// entries are drawn, their mean.
#[derive(Args, Debug)]
struct HeatMapPlot {
    /// The matrix: uint32, N x N, in NumPy's format
    #[arg(value_name = "K.npy")]
    kernel: PathBuf,
    #[command(flatten)]
    shades: ShadeOptions,
    #[command(flatten)]
    picture: PictureOptions,
}

/// A cell as a graph
///
/// Vertices stand in layers, in the order that crosses fewest edges. Of NAS-Bench-201, the box of an operation stands on its
/// edge; `none` is faint.
#[derive(Args, Debug)]
struct CellPlot {
    /// The cell as in the column `arch`, or a file that holds it: scores, or architectures; `-` is standard input
    #[arg(value_name = "ARCH|FILE", value_parser = ArchitectureArg::parser())]
    cell: ArchitectureArg,
    /// Which row of the file: its `index`, or its position from 0 [default: the only one]
    #[arg(long, value_name = "I")]
    row: Option<u64>,
    /// Which way it runs
    #[arg(long, value_name = "WAY", default_value = "right")]
    direction: DirectionArg,
    #[command(flatten)]
    picture: PictureOptions,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum DirectionArg {
    Right,
    Down,
}

/// How far settings agree: the Kendall tau-b of a sweep
///
/// Settings are named by what differs between them.
#[derive(Args, Debug)]
struct MatrixPlot {
    /// What `naswot sweep --json` has printed
    #[arg(value_name = "SWEEP.json")]
    sweep: PathBuf,
    #[command(flatten)]
    picture: PictureOptions,
}

/// Score over training, from the rows of `naswot trace`
#[derive(Args, Debug)]
struct TracePlot {
    /// Rows as `naswot trace` writes them
    #[arg(value_name = "TRACE")]
    rows: PathBuf,
    /// What to draw: a score (nwot, swap, meco, ..), or any column of numbers
    #[arg(long, value_name = "NAME", default_value = "nwot", value_parser = Measure::of_file)]
    score: Measure,
    #[command(flatten)]
    minus_inf: MinusInfOption,
    #[command(flatten)]
    axis: AxisOptions,
    #[command(flatten)]
    picture: PictureOptions,
}

impl Plot {
    /// Runs the command.
    pub(crate) fn run(&self, console: &Console) -> Result {
        match &self.kind {
            PictureKind::Scatter(kind) => {
                kind.picture.write([&kind.scores].into_iter().chain(&kind.accuracy), || kind.draw(console))
            }
            PictureKind::Histogram(kind) => kind.picture.write([&kind.scores], || kind.draw(console)),
            PictureKind::HeatMap(kind) => kind.picture.write([&kind.kernel], || kind.draw()),
            PictureKind::HeatMaps(kind) => kind.picture.write(kind.inputs(), || kind.draw(console)),
            PictureKind::Cell(kind) => kind.picture.write(kind.cell.file(), || kind.draw()),
            PictureKind::Matrix(kind) => kind.picture.write([&kind.sweep], || kind.draw()),
            PictureKind::Trace(kind) => kind.picture.write([&kind.rows], || kind.draw(console)),
        }
    }
}

impl ScatterPlot {
    fn draw(&self, console: &Console) -> Result<String> {
        let name = self.scores.display();
        let (pairs, label, logarithmic) = match &self.accuracy {
            Some(table) => {
                let accuracies = Accuracies::read(table, &self.join)?;
                accuracies.warnings.iter().for_each(|warning| console.warning(warning));
                let file =
                    ScoredFile::read(&self.scores, &self.score, self.join.key.as_ref(), self.minus_inf, &[])?;
                let accuracy = |network: &ScoredNetwork| accuracies.get(&network.names);
                let pairs = PairedScores::of(file, accuracy, Infinite::Lowest);
                if pairs.networks.is_empty() {
                    return Err(pairs.nothing_in_common(&self.scores, table));
                }
                pairs.thin_join(&self.scores, table).iter().for_each(|warning| console.warning(warning));
                (pairs, accuracies.label(), false)
            }
            None => {
                let Column { name: against, title, .. } = self.against;
                let file = ScoredFile::read(&self.scores, &self.score, None, self.minus_inf, &[against])?;
                // What has no logarithm has no place: a graph without weights.
                let value = |network: &ScoredNetwork| network.numbers[0].filter(|count| *count > 0.0);
                let pairs = PairedScores::of(file, value, Infinite::Lowest);
                if pairs.networks.is_empty() {
                    let message = format!("{name}: no row has both {} and {against}", self.score);
                    return Err(Failure::unusable(message));
                }
                (pairs, (*title).to_owned(), true)
            }
        };
        pairs.warning.iter().for_each(|warning| console.warning(warning));
        let scores: Vec<f64> = pairs.networks.iter().map(|(network, _)| network.score).collect();
        let values: Vec<f64> = pairs.networks.iter().map(|(_, value)| *value).collect();
        let against = Against { label: &label, values: &values, logarithmic };
        let (limits, theme) = (self.axis.limits(), self.picture.look.theme());
        drawn(&self.scores, scatter_svg(&scores, &self.score.title(), &against, limits, theme))
    }
}

impl HistogramPlot {
    fn draw(&self, console: &Console) -> Result<String> {
        let mut scores = Vec::new();
        let mut minus_inf = MinusInfReader::new(self.minus_inf);
        let mut table = scored_table(&self.scores, &self.score, &[])?;
        while let Some(record) = table.next_record()? {
            scores.extend(table.number(&record, 0)?.map(|number| minus_inf.score(number)));
        }
        minus_inf.warning(&self.scores).iter().for_each(|warning| console.warning(warning));
        let (limits, theme) = (self.axis.limits(), self.picture.look.theme());
        drawn(&self.scores, histogram_svg(&scores, self.score.title(), limits, theme))
    }
}

impl HeatMapPlot {
    fn draw(&self) -> Result<String> {
        let kernel = Agreement::read_npy(&self.kernel)?;
        let shades = self.shades.shades(std::iter::once(&kernel))?;
        Ok(heat_map_svg(&kernel, shades, self.picture.look.theme()))
    }
}

impl CellPlot {
    fn draw(&self) -> Result<String> {
        let direction = match self.direction {
            DirectionArg::Right => Direction::LeftToRight,
            DirectionArg::Down => Direction::TopToBottom,
        };
        Ok(cell_svg(&self.cell.find(self.row)?, direction, self.picture.look.theme()))
    }
}

impl MatrixPlot {
    fn draw(&self) -> Result<String> {
        sweep_matrix(&self.sweep, self.picture.look.theme())
    }
}

/// The picture of what `naswot sweep --json` has printed.
pub(crate) fn sweep_matrix(sweep: &Path, theme: Theme) -> Result<String> {
    #[derive(Deserialize)]
    struct Sweep {
        settings: Vec<Map<String, Value>>,
        kendall_tau: Vec<Vec<Option<f64>>>,
    }
    let name = sweep.display();
    let text = text_file::read_whole(text_file::open_text(sweep)?.reader)
        .map_err(|error| Failure::unusable(format_args!("{name}: {error}")))?;
    let Sweep { settings, kendall_tau } = serde_json::from_slice(&text).map_err(|error| {
        Failure::unusable(format_args!("{name}: is not what `naswot sweep --json` prints: {}", cut(error)))
    })?;
    drawn(sweep, matrix_svg(&names(&settings), &kendall_tau, theme))
}

impl TracePlot {
    fn draw(&self, console: &Console) -> Result<String> {
        let mut points = Vec::new();
        let mut minus_inf = MinusInfReader::new(self.minus_inf);
        let mut without = 0;
        let mut from = String::new();
        let mut table = scored_table(&self.rows, &self.score, &["epoch", "epoch_from"])?;
        while let Some(record) = table.next_record()? {
            match table.number(&record, 1)?.filter(|epoch| epoch.is_finite()) {
                Some(epoch) => {
                    let score = table.number(&record, 0)?.map(|number| minus_inf.score(number));
                    points.push(TracePoint { epoch, score });
                }
                None => without += 1,
            }
            from.clone_from(&record.texts[2]);
        }
        minus_inf.warning(&self.rows).iter().for_each(|warning| console.warning(warning));
        if points.is_empty() || without > 0 {
            let message = "has rows without an `epoch`: is it what `naswot trace` has written?";
            return Err(Failure::unusable(format_args!("{}: {message}", self.rows.display())));
        }
        let (limits, theme) = (self.axis.limits(), self.picture.look.theme());
        drawn(&self.rows, trace_svg(&points, epoch_label(&from), self.score.title(), limits, theme))
    }
}

/// Label of a trace's axis, by the source of the epochs.
pub(crate) fn epoch_label(from: &str) -> &'static str {
    if from == "order" { "checkpoint, in the order given" } else { "epoch" }
}

/// A file of which a measure is read, which must be there, and further columns.
fn scored_table(file: &Path, measure: &Measure, besides: &[&str]) -> Result<Table> {
    let mut table = Table::open(file)?;
    let measure = measure_column(&table, measure)?;
    table.want([measure.as_str()].into_iter().chain(besides.iter().copied()))?;
    Ok(table)
}

impl Accuracies {
    /// Label of an axis.
    fn label(&self) -> String {
        match self.unit {
            Unit::Fraction => format!("{} (fraction)", self.column),
            Unit::Percent => format!("{} (%)", self.column),
            Unit::Other => self.column.clone(),
        }
    }
}

/// Names of settings: what differs between them, results aside. They have no more parts than options can differ, and of more
/// settings than are named in a picture they are numbers: a file may claim any product of both.
fn names(settings: &[Map<String, Value>]) -> Vec<String> {
    const MOST_SETTINGS: usize = 200;
    const MOST_PARTS: usize = 16;
    if settings.len() > MOST_SETTINGS {
        return (0..settings.len()).map(|number| number.to_string()).collect();
    }
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let keys: Vec<&String> = settings.first().map_or(Vec::new(), |first| first.keys().collect());
    let differs = |key: &&&String| settings.iter().any(|other| other.get(**key) != settings[0].get(**key));
    let is_setting = |key: &&&String| !RESULTS.contains(&key.as_str());
    let keys: Vec<&String> =
        keys.iter().filter(is_setting).filter(differs).copied().take(MOST_PARTS).collect();
    let name = |setting: &Map<String, Value>| {
        let parts = keys.iter().map(|key| match setting.get(*key) {
            None | Some(Value::Null) => format!("{} none", shortened(key).replace('_', " ")),
            Some(value) => format!("{} {}", shortened(key).replace('_', " "), shortened(&text(value))),
        });
        parts.collect::<Vec<_>>().join(", ")
    };
    settings.iter().map(name).collect()
}
