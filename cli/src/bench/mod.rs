//! `naswot bench`: networks per second, stage by stage and beside the machine's peak rates.

mod ceilings;
mod measured_backend;
mod report;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use naswot::analysis::Correlation;
use naswot::plan::Plan;
use naswot::workloads::Workload;
use naswot::{Backend, Batch, Device, Network, Precision, Probe, Stage};

use crate::console::{Console, say};
use crate::exit::{Exit, Failure, Result};
use crate::output::Draft;
use crate::stdout_lines::{StdoutData, StdoutLines};
use ceilings::Ceilings;
use measured_backend::{CodeRecorder, MeasuredBackend};
use report::{
    BackendAgreement, BenchReport, Build, GroupCost, Machine, NotMeasured, RateRange, StageCost, Throughput,
};

const EXAMPLES: &str = "\
Examples:
  naswot bench --quick
  naswot bench --precision f32,f64 --workload nasbench201-n32 \\
      --json bench.json";

const MORE: &str = "\
A round scores the first k networks of a workload: planning, weights and reading back are part of it; opening the
device and making the images are not. k and the rounds are chosen so that a workload takes about --seconds; the
contenders run in turn, on the same networks. A last round is looked into for the times of the stages.";

/// Rounds of a workload, at most: fewer where a single network takes long.
const MOST_ROUNDS: usize = 5;

/// Measure networks per second
///
/// Scores fixed lists of networks, drawn uniformly from their spaces, on synthetic images. Prints networks per
/// second, what each stage takes, what the machine can do at best, and how far contenders agree.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{MORE}"))]
pub(crate) struct Bench {
    /// Backends [default: all that work here]
    #[arg(long, value_name = "BACKEND,..", value_delimiter = ',')]
    backend: Vec<Backend>,
    /// Number formats, each on every backend
    #[arg(long, value_name = "PRECISION,..", value_delimiter = ',', default_value = "f32")]
    precision: Vec<Precision>,
    /// Workloads [default: all]
    #[arg(long, value_name = "WORKLOAD,..", value_delimiter = ',', value_parser = workload())]
    workload: Vec<Workload>,
    /// About how long a workload may take
    #[arg(long, value_name = "SECONDS", default_value = "20", value_parser = seconds)]
    seconds: Duration,
    /// The same as --seconds 3
    #[arg(long, conflicts_with = "seconds")]
    quick: bool,
    /// Write everything as JSON; `-` is standard output, and tables go to standard error then
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Replace a file of --json that exists already
    #[arg(long, requires = "json")]
    force: bool,
}

impl Bench {
    /// Runs the command.
    pub(crate) fn run(&self, console: &Console) -> Result {
        let json = self.json.as_deref().map(|path| JsonFile::open(path, self.force)).transpose()?;
        let (backends, not_measured) = self.measured_backends()?;
        let mut report = BenchReport {
            machine: machine(),
            naswot: build(),
            not_measured,
            ceilings: ceilings(&backends)?,
            results: Vec::new(),
            agreement: Vec::new(),
            stages: Vec::new(),
            groups: Vec::new(),
        };
        let workloads = if self.workload.is_empty() { &Workload::ALL[..] } else { &self.workload };
        for workload in workloads {
            console.note(format_args!("{} ..", workload.name));
            let budget = if self.quick { Duration::from_secs(3) } else { self.seconds };
            measure(workload, &backends, budget, &mut report)?;
        }
        let tables = report.tables();
        match &json {
            Some(json) if json.is_stdout() => tables.trim_end().split('\n').for_each(say),
            _ => {
                let mut lines = StdoutLines::new();
                lines.print_lines(tables.trim_end())?;
                lines.flush()?;
            }
        }
        json.map_or(Ok(()), |json| json.write(&report))?;
        Ok(Exit::Success)
    }

    fn measured_backends(&self) -> Result<(Vec<MeasuredBackend>, Vec<NotMeasured>)> {
        let (backends, left_out) =
            if self.backend.is_empty() { working()? } else { (self.backend.clone(), Vec::new()) };
        for backend in &backends {
            refuse_software(backend)?;
        }
        let pairs = backends.iter().flat_map(|b| self.precision.iter().map(move |&p| (b.clone(), p)));
        let measured = pairs.map(|(backend, precision)| MeasuredBackend::new(backend, precision));
        Ok((measured.collect::<Result<_>>()?, left_out))
    }
}

/// All backends that work here, but for software adapters, whose times say nothing, and what is left out.
fn working() -> Result<(Vec<Backend>, Vec<NotMeasured>)> {
    let (mut names, mut left_out): (Vec<String>, Vec<NotMeasured>) = (Vec::new(), Vec::new());
    for device in naswot::devices() {
        let Device { backend, software, unusable, .. } = device;
        // One GPU may be reached through several systems, and of equal ones one tells the speed: the first of a name.
        let model = |backend: &str| backend.split('#').next().map(str::to_owned);
        let is_new = names.iter().all(|name| model(name) != model(&backend));
        let reason = match unusable {
            Some(reason) => reason,
            None if software => format!("a software adapter, measured if named: --backend '{backend}'"),
            None if !is_new => "one of its name is measured".to_owned(),
            None => {
                names.push(backend);
                continue;
            }
        };
        left_out.push(NotMeasured { backend, reason });
    }
    Ok((names.iter().map(|name| name.parse()).collect::<naswot::Result<_>>()?, left_out))
}

/// Refuses a software adapter, unless it is named.
fn refuse_software(backend: &Backend) -> Result<()> {
    if *backend != Backend::Wgpu(None) {
        return Ok(());
    }
    let devices = naswot::devices();
    let mut adapters = devices.iter().filter(|d| d.backend.starts_with("wgpu") && d.unusable.is_none());
    match adapters.next() {
        Some(best) if best.software => Err(Failure::unusable(format_args!(
            "backend wgpu: {} is the only adapter, and its speed says nothing; to measure it all the same, name it: \
             --backend '{}'",
            best.name, best.backend
        ))),
        _ => Ok(()),
    }
}

/// Measures one workload.
fn measure(
    workload: &Workload,
    backends: &[MeasuredBackend],
    budget: Duration,
    report: &mut BenchReport,
) -> Result<()> {
    let (batch, networks) = (workload.batch()?, workload.networks()?);
    let flops: Vec<f64> =
        networks.iter().map(|network| workload.flop(network)).collect::<naswot::Result<_>>()?;
    let (k, rounds) = size(backends, &batch, &networks, &flops, budget)?;
    let networks = &networks[..k];
    let flop: f64 = flops[..k].iter().sum();

    let mut rates = vec![Vec::new(); backends.len()];
    for _ in 0..rounds {
        for (backend, rates) in backends.iter().zip(&mut rates) {
            rates.push(k as f64 / backend.round(&batch, networks)?.as_secs_f64());
        }
    }
    for (backend, rates) in backends.iter().zip(rates) {
        let networks_per_second = RateRange::of(rates);
        let plans = backend.plans(&batch, networks)?;
        let executed = backend.flop(&batch, &plans)?;
        let gflop_per_s = |flop: f64| networks_per_second.median * flop / k as f64 / 1e9;
        report.results.push(Throughput {
            workload: workload.name,
            backend: backend.name,
            device: backend.device.clone(),
            precision: backend.precision.name(),
            networks: k,
            rounds,
            networks_per_second,
            gflop_per_s: gflop_per_s(flop),
            executed_gflop_per_s: gflop_per_s(executed),
        });
        let flop = Flop { nominal: flop, executed };
        let (elapsed, probe) = backend.probed_round(&batch, networks)?;
        report.stages.extend(stages(workload, backend, &plans, flop, elapsed, &probe));
        report.groups.extend(GroupCost::of(workload.name, backend, probe.groups()));
    }
    for (i, a) in backends.iter().enumerate() {
        for b in &backends[i + 1..] {
            report.agreement.push(agreement(workload, a, b, &batch, networks)?);
        }
    }
    Ok(())
}

/// The numbers of networks and of rounds that fit a budget. Runs the first networks, ever more of them, and takes
/// the time of others to be as their operations.
fn size(
    backends: &[MeasuredBackend],
    batch: &Batch,
    networks: &[Network],
    flops: &[f64],
    budget: Duration,
) -> Result<(usize, usize)> {
    let start = Instant::now();
    let (mut tried, mut seconds) = (1, 0.0);
    loop {
        let trial = Instant::now();
        backends.iter().try_for_each(|backend| backend.round(batch, &networks[..tried]).map(drop))?;
        seconds += trial.elapsed().as_secs_f64();
        if start.elapsed() > budget / 10 || 2 * tried > networks.len() {
            break;
        }
        tried *= 2;
        seconds = 0.0;
    }
    let left = budget.saturating_sub(start.elapsed()).as_secs_f64();
    let rate = flops[..tried].iter().sum::<f64>() / seconds;
    // Beside the rounds, one for the stages and, where there is something to compare, one for the codes.
    let others = 1 + usize::from(backends.len() > 1);
    let rounds = (left * rate / flops[0]) as usize;
    let rounds = rounds.saturating_sub(others).clamp(1, MOST_ROUNDS);
    let affordable = left * rate / (rounds + others) as f64;
    let mut sum = 0.0;
    let fitting = flops.iter().take_while(|&flop| {
        sum += flop;
        sum <= affordable
    });
    Ok((fitting.count().max(1), rounds))
}

/// Floating-point operations of convolutions.
#[derive(Clone, Copy)]
struct Flop {
    /// By the definition of a convolution.
    nominal: f64,
    /// As the backend carries them out.
    executed: f64,
}

/// The costs of the stages, from a round with a probe.
fn stages(
    workload: &Workload,
    backend: &MeasuredBackend,
    plans: &[Plan],
    flop: Flop,
    elapsed: Duration,
    probe: &Probe,
) -> Vec<StageCost> {
    let storage = if backend.precision == Precision::F64 { 8 } else { 4 };
    let cost = |stage: &'static str, time: Duration, flop: Option<Flop>, bytes: Option<u64>| {
        // A stage without time of its own is done in passing by another.
        let rate = |amount: f64| (!time.is_zero()).then(|| amount / time.as_secs_f64() / 1e9);
        StageCost {
            workload: workload.name,
            backend: backend.name,
            device: backend.device.clone(),
            precision: backend.precision.name(),
            stage,
            milliseconds: 1e3 * time.as_secs_f64() / plans.len() as f64,
            gflop_per_s: flop.and_then(|flop| rate(flop.nominal)),
            executed_gflop_per_s: flop.and_then(|flop| rate(flop.executed)),
            gb_per_s: bytes.and_then(|bytes| rate(bytes as f64)),
        }
    };
    let mut costs = Vec::new();
    let mut rest = elapsed;
    for stage in Stage::ALL {
        let time = probe.time(stage);
        rest = rest.saturating_sub(time);
        let bytes = plans.iter().map(|plan| stage.bytes(plan, storage)).sum();
        costs.push(cost(stage.name(), time, (stage == Stage::Conv).then_some(flop), bytes));
    }
    costs.push(cost("other", rest, None, None));
    costs
}

/// Compares codes and scores of two measured backends, network by network.
fn agreement(
    workload: &Workload,
    a: &MeasuredBackend,
    b: &MeasuredBackend,
    batch: &Batch,
    networks: &[Network],
) -> Result<BackendAgreement> {
    let recorders = [CodeRecorder::new(a, batch)?, CodeRecorder::new(b, batch)?];
    let (mut differ, mut bits, mut most) = (Some(0), Some(0), 0f64);
    let (mut a_scores, mut b_scores) = (Vec::new(), Vec::new());
    for network in networks {
        let (a_score, a_codes) = recorders[0].score(network)?;
        let (b_score, b_codes) = recorders[1].score(network)?;
        let pair = a_codes.zip(b_codes);
        differ = differ.zip(pair.as_ref()).map(|(sum, (a, b))| sum + a.differences(b));
        bits = bits.zip(pair.as_ref()).map(|(sum, (a, _))| sum + a.bits());
        most = most.max(if a_score == b_score { 0.0 } else { (a_score - b_score).abs() });
        // Ranks alone matter, and -inf stays the lowest.
        a_scores.push(a_score.max(f64::MIN));
        b_scores.push(b_score.max(f64::MIN));
    }
    Ok(BackendAgreement {
        workload: workload.name,
        a: a.to_string(),
        b: b.to_string(),
        code_bits_differ: differ,
        code_bits: bits,
        max_score_difference: Some(most).filter(|most| most.is_finite()),
        kendall_tau: Correlation::of(&a_scores, &b_scores).ok().and_then(|c| c.kendall_tau),
    })
}

fn ceilings(backends: &[MeasuredBackend]) -> Result<Vec<Ceilings>> {
    let mut ceilings: Vec<Ceilings> = Vec::new();
    for backend in backends {
        // A device may contend in several precisions.
        if ceilings.iter().all(|other| (other.backend, &other.device) != (backend.name, &backend.device)) {
            ceilings.push(backend.ceilings()?);
        }
    }
    Ok(ceilings)
}

fn machine() -> Machine {
    Machine {
        cpu: naswot::processor(),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        os: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
    }
}

fn build() -> Build {
    Build {
        version: env!("CARGO_PKG_VERSION"),
        commit: env!("NASWOT_COMMIT"),
        features: env!("NASWOT_FEATURES").split_whitespace().collect(),
    }
}

/// The output of the JSON, refused before anything is measured.
enum JsonFile {
    Stdout,
    File(Draft),
}

impl JsonFile {
    fn open(path: &Path, force: bool) -> Result<Self> {
        if path == Path::new("-") {
            return Ok(JsonFile::Stdout);
        }
        Draft::new(path, force, []).map(JsonFile::File)
    }

    fn is_stdout(&self) -> bool {
        matches!(self, JsonFile::Stdout)
    }

    fn write(self, report: &BenchReport) -> Result<()> {
        let mut text = serde_json::to_vec_pretty(report).map_err(Failure::stopped)?;
        text.push(b'\n');
        match self {
            JsonFile::Stdout => {
                let mut stdout = StdoutData::new();
                let written = stdout.write_all(&text).and_then(|()| stdout.flush());
                written.map_err(|error| Failure::write("standard output", &error))
            }
            JsonFile::File(draft) => {
                draft.write(&text)?;
                draft.finish()
            }
        }
    }
}

fn workload() -> impl TypedValueParser<Value = Workload> {
    PossibleValuesParser::new(Workload::ALL.map(|workload| workload.name))
        .try_map(|name| Workload::named(&name).ok_or("is no workload"))
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().filter(|&seconds| seconds > 0.0 && seconds <= 1e6);
    let message = "must be a number of seconds above 0, and at most 1000000";
    seconds.map(Duration::from_secs_f64).ok_or_else(|| message.to_owned())
}
