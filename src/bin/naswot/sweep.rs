//! `naswot sweep`: one set of networks under many settings, and how far the settings agree.

use std::io::{self, IsTerminal};

use clap::Args;
use naswot::analysis::kendall_tau;
use naswot::{Architecture, Batch, Convention, Network, Precision, Scorer, Weights};
use serde::Serialize;

use crate::console::{Console, say};
use crate::exit::{Exit, Failure, Result};
use crate::input::{InputOptions, Next, place};
use crate::interrupt;
use crate::lines::Lines;
use crate::options::{
    Init, MachineOptions, SkeletonOptions, SourceOption, convention, initializer, most_images, precision,
};
use crate::progress::Progress;

const EXAMPLES: &str = "\
Examples:
  naswot sweep --space nasbench201 --sample 100 --seed 0,1,2
  naswot sweep cells.jsonl --batch-size 16,32,64 --init space,normal --json > sweep.json";

/// Score networks under many settings, and compare the rankings
///
/// Every combination of the lists is a setting. Prints the mean score of each, and Kendall's tau-b between the scores
/// of any two: 1 where they rank the networks alike. A network that fails under one setting is left out of all.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Sweep {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    input: InputOptions,
    #[command(flatten)]
    lists: Lists,
    #[command(flatten)]
    source: SourceOption,
    #[command(flatten)]
    skeleton: SkeletonOptions,
    #[command(flatten)]
    machine: MachineOptions,
}

#[derive(Args, Debug)]
#[command(next_help_heading = "Lists, with commas between")]
struct Lists {
    /// Images in the batch [default: 32; the whole file for npy]
    #[arg(long, value_name = "N,..", value_delimiter = ',', value_parser = most_images())]
    batch_size: Vec<usize>,
    /// Seeds that images are drawn with [default: take the first ones]
    #[arg(long, value_name = "SEED,..", value_delimiter = ',')]
    data_seed: Vec<u64>,
    /// Deviations of the noise on the images
    #[arg(
        long,
        value_name = "SIGMA,..",
        value_delimiter = ',',
        default_value = "0",
        allow_negative_numbers = true
    )]
    noise: Vec<f64>,
    /// Seeds of the weights
    #[arg(long, value_name = "SEED,..", value_delimiter = ',', default_value = "0")]
    seed: Vec<u64>,
    /// Initial weights
    #[arg(
        long,
        value_name = "INIT,..",
        value_delimiter = ',',
        default_value = "space",
        value_parser = initializer()
    )]
    init: Vec<Init>,
    /// Number formats
    #[arg(
        long,
        value_name = "PRECISION,..",
        value_delimiter = ',',
        default_value = "auto",
        value_parser = precision()
    )]
    precision: Vec<Precision>,
    /// How ReLUs are counted
    #[arg(
        long,
        value_name = "CONVENTION,..",
        value_delimiter = ',',
        default_value = Convention::Relu.name(),
        value_parser = convention()
    )]
    convention: Vec<Convention>,
}

/// Batch size and data seed.
type Images = (Option<usize>, Option<u64>);

/// One combination.
#[derive(Clone, Copy, Debug)]
struct Choice {
    batch_size: Option<usize>,
    data_seed: Option<u64>,
    noise: f64,
    seed: u64,
    init: Init,
    precision: Precision,
    convention: Convention,
}

/// A setting, as it was really used, and what came out.
#[derive(Serialize)]
struct Setting {
    batch_size: usize,
    data_seed: Option<u64>,
    noise: f64,
    seed: u64,
    initialiser: &'static str,
    precision: String,
    convention: &'static str,
    /// Over finite scores.
    mean_score: Option<f64>,
    /// Scores of -inf.
    infinite: usize,
}

#[derive(Serialize)]
struct Report {
    /// Networks that were compared.
    networks: usize,
    failed: usize,
    settings: Vec<Setting>,
    /// Between any two settings; null where it is not defined.
    kendall_tau: Vec<Vec<Option<f64>>>,
}

impl Lists {
    /// All combinations, the last list fastest.
    fn choices(&self) -> Vec<Choice> {
        fn optional<T: Copy>(list: &[T]) -> Vec<Option<T>> {
            if list.is_empty() { vec![None] } else { list.iter().copied().map(Some).collect() }
        }
        let mut choices = Vec::new();
        for batch_size in optional(&self.batch_size) {
            for data_seed in optional(&self.data_seed) {
                for &noise in &self.noise {
                    for &seed in &self.seed {
                        for &init in &self.init {
                            for &precision in &self.precision {
                                choices.extend(self.convention.iter().map(|&convention| Choice {
                                    batch_size,
                                    data_seed,
                                    noise,
                                    seed,
                                    init,
                                    precision,
                                    convention,
                                }));
                            }
                        }
                    }
                }
            }
        }
        choices
    }
}

impl Sweep {
    /// Runs the command.
    pub(crate) fn run(&self, console: &Console) -> Result {
        interrupt::listen(console)?;
        let choices = self.lists.choices();
        let (networks, unread) = self.networks()?;
        let bar = self.json || !io::stdout().is_terminal();
        let total = (choices.len() * networks.len()) as u64;
        let mut progress = Progress::start(console, bar, || Some(total));
        let mut settings = Vec::new();
        let mut scores: Vec<Vec<Option<f64>>> = Vec::new();
        let mut batch = None;
        for choice in &choices {
            let scorer = self.scorer(choice, &mut batch)?;
            scores.push(scored(&scorer, &networks, &mut progress)?);
            settings.push(choice.setting(&scorer));
        }
        progress.clear();
        progress.summarise();
        let report = report(settings, &scores, unread)?;
        let mut lines = Lines::new();
        if self.json {
            lines.print(serde_json::to_string(&report).map_err(Failure::stopped)?)?;
        } else {
            report.print(&mut lines)?;
        }
        lines.finish()?;
        Ok(if report.failed > 0 { Exit::SomeFailed } else { Exit::Success })
    }

    /// All networks, each with its place in the input, and how many lines are none.
    fn networks(&self) -> Result<(Vec<(String, Network)>, usize)> {
        let mut input = self.input.open()?;
        let (mut networks, mut unread) = (Vec::new(), 0);
        loop {
            match input.next()? {
                Next::Line(line) => {
                    let place = place(input.name(), line.index, line.number);
                    let network = line
                        .architecture
                        .and_then(|architecture: Architecture| self.skeleton.network(&architecture));
                    match network {
                        Ok(network) => networks.push((place, network)),
                        Err(error) => {
                            say(format_args!("{place}: {error}"));
                            unread += 1;
                        }
                    }
                }
                Next::Nothing => {}
                Next::Interrupted => return Err(Failure { exit: Exit::Interrupted, message: None }),
                Next::End if input.taken() < 2 => {
                    let message = format!("{}: rankings need at least 2 networks", input.name());
                    return Err(Failure::unusable(message));
                }
                Next::End => return Ok((networks, unread)),
            }
        }
    }

    /// `images` are those of the last setting, and of the next one where they are the same.
    fn scorer(&self, choice: &Choice, images: &mut Option<(Images, Batch)>) -> Result<Scorer> {
        let wanted = (choice.batch_size, choice.data_seed);
        let batch = match images.take() {
            Some((last, batch)) if last == wanted => batch,
            _ => self.source.data.batch(choice.batch_size, choice.data_seed)?,
        };
        *images = Some((wanted, batch.clone()));
        let batch = batch.with_noise(choice.noise, choice.data_seed.unwrap_or(0))?;
        let mut builder = Scorer::builder(batch)
            .weights(Weights::Seeded { seed: choice.seed })
            .precision(choice.precision)
            .convention(choice.convention);
        if let Init::Of(initializer) = choice.init {
            builder = builder.initializer(initializer);
        }
        Ok(self.machine.apply(builder).build()?)
    }
}

/// The scores of networks, none of those that failed.
fn scored(
    scorer: &Scorer,
    networks: &[(String, Network)],
    progress: &mut Progress,
) -> Result<Vec<Option<f64>>> {
    let mut scores = Vec::with_capacity(networks.len());
    let mut stream = scorer.stream(networks.iter().map(|(_, network)| network.clone()));
    for (place, _) in networks {
        interrupt::check()?;
        match stream.next() {
            Some(Ok(score)) => {
                progress.scored(score.log_det);
                scores.push(Some(score.log_det));
            }
            Some(Err(error)) if error.is_fatal() => return Err(Failure::stopped(error)),
            Some(Err(error)) => {
                progress.failed(format_args!("{place}: {error}"));
                scores.push(None);
            }
            None => {
                return Err(Failure::stopped("scoring ended by itself: please report this fault of naswot"));
            }
        }
    }
    Ok(scores)
}

/// Compares the settings over the networks that all of them have scored; `unread` lines have failed besides.
fn report(mut settings: Vec<Setting>, scores: &[Vec<Option<f64>>], unread: usize) -> Result<Report> {
    let total = scores.first().map_or(0, Vec::len);
    let whole: Vec<usize> = (0..total).filter(|&i| scores.iter().all(|scores| scores[i].is_some())).collect();
    let scores: Vec<Vec<f64>> =
        scores.iter().map(|scores| whole.iter().filter_map(|&i| scores[i]).collect()).collect();
    for (setting, scores) in settings.iter_mut().zip(&scores) {
        let finite: Vec<f64> = scores.iter().copied().filter(|score| score.is_finite()).collect();
        setting.infinite = scores.len() - finite.len();
        setting.mean_score = (!finite.is_empty()).then(|| finite.iter().sum::<f64>() / finite.len() as f64);
    }
    // A ranking needs two networks.
    let tau = |a: &[f64], b: &[f64]| if whole.len() < 2 { Ok(None) } else { Ok(kendall_tau(a, b)?) };
    let row = |a: &Vec<f64>| scores.iter().map(|b| tau(a, b)).collect::<Result<Vec<_>>>();
    let tau = scores.iter().map(row).collect::<Result<Vec<_>>>()?;
    Ok(Report { networks: whole.len(), failed: total - whole.len() + unread, settings, kendall_tau: tau })
}

impl Choice {
    fn setting(&self, scorer: &Scorer) -> Setting {
        let settings = scorer.settings();
        Setting {
            batch_size: settings.batch_shape[0],
            data_seed: self.data_seed,
            noise: settings.noise,
            seed: self.seed,
            initialiser: settings.initializer,
            precision: settings.precision.to_string(),
            convention: settings.convention.name(),
            mean_score: None,
            infinite: 0,
        }
    }
}

impl Report {
    fn print(&self, lines: &mut Lines) -> Result<()> {
        let failed = if self.failed > 0 { format!(" ({} failed)", self.failed) } else { String::new() };
        lines.print(format_args!("{} networks{failed}\n", self.networks))?;
        let header = [
            "",
            "batch_size",
            "data_seed",
            "noise",
            "seed",
            "initialiser",
            "precision",
            "convention",
            "mean score",
            "-inf",
        ];
        let rows = self.settings.iter().enumerate().map(|(number, setting)| {
            [
                number.to_string(),
                setting.batch_size.to_string(),
                setting.data_seed.map_or("first".to_owned(), |seed| seed.to_string()),
                setting.noise.to_string(),
                setting.seed.to_string(),
                setting.initialiser.to_owned(),
                setting.precision.clone(),
                setting.convention.to_owned(),
                setting.mean_score.map_or(String::new(), |mean| format!("{mean:.2}")),
                setting.infinite.to_string(),
            ]
            .to_vec()
        });
        print_table(std::iter::once(header.map(str::to_owned).to_vec()).chain(rows).collect(), lines)?;
        lines.print("\nKendall tau-b")?;
        let numbers = || (0..self.settings.len()).map(|number| number.to_string());
        let header = std::iter::once(String::new()).chain(numbers()).collect();
        let rows = self.kendall_tau.iter().zip(numbers()).map(|(row, number)| {
            let values = row.iter().map(|tau| tau.map_or("none".to_owned(), |tau| format!("{tau:.3}")));
            std::iter::once(number).chain(values).collect()
        });
        print_table(std::iter::once(header).chain(rows).collect(), lines)
    }
}

/// Prints columns, aligned to the right.
fn print_table(rows: Vec<Vec<String>>, lines: &mut Lines) -> Result<()> {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    rows.iter().try_for_each(|row| {
        let cells = row.iter().zip(&widths).map(|(text, &width)| format!("{text:>width$}"));
        lines.print(cells.collect::<Vec<_>>().join("  "))
    })
}
