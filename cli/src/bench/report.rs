//! The report of a benchmark, as JSON and as tables.

use std::fmt::Write;

use naswot::Groups;
use serde::Serialize;

use super::ceilings::Ceilings;
use super::measured_backend::MeasuredBackend;

/// The report of a benchmark. The keys are promised in docs/output.md.
#[derive(Debug, Serialize)]
pub(super) struct BenchReport {
    pub(super) machine: Machine,
    pub(super) naswot: Build,
    /// Devices that are left out where no backends are named.
    pub(super) not_measured: Vec<NotMeasured>,
    pub(super) ceilings: Vec<Ceilings>,
    pub(super) results: Vec<Throughput>,
    pub(super) agreement: Vec<BackendAgreement>,
    pub(super) stages: Vec<StageCost>,
    pub(super) groups: Vec<GroupCost>,
}

/// The machine that a benchmark has run on.
#[derive(Debug, Serialize)]
pub(super) struct Machine {
    pub(super) cpu: String,
    pub(super) cores: usize,
    pub(super) os: String,
}

/// The build of naswot that was measured.
#[derive(Debug, Serialize)]
pub(super) struct Build {
    pub(super) version: &'static str,
    pub(super) commit: &'static str,
    pub(super) features: Vec<&'static str>,
}

/// A device that was not measured, and why.
#[derive(Debug, Serialize)]
pub(super) struct NotMeasured {
    pub(super) backend: String,
    pub(super) reason: String,
}

/// Networks per second of one measured backend.
#[derive(Debug, Serialize)]
pub(super) struct Throughput {
    pub(super) workload: &'static str,
    pub(super) backend: &'static str,
    pub(super) device: String,
    pub(super) precision: &'static str,
    /// Number of networks, the first of the workload.
    pub(super) networks: usize,
    pub(super) rounds: usize,
    pub(super) networks_per_second: RateRange,
    /// Rate of floating-point operations, by the median: those of convolutions alone are counted, by their definition.
    pub(super) gflop_per_s: f64,
    /// The same of the operations that are carried out.
    pub(super) executed_gflop_per_s: f64,
}

/// Median, minimum and maximum of a rate over the rounds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct RateRange {
    pub(super) median: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl RateRange {
    /// The range of at least one value.
    pub(super) fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let last = values.len().saturating_sub(1);
        let at = |i: usize| values.get(i).copied().unwrap_or(f64::NAN);
        RateRange { median: (at(last / 2) + at(last.div_ceil(2))) / 2.0, min: at(0), max: at(last) }
    }
}

/// The agreement of two measured backends on the same networks.
#[derive(Debug, Serialize)]
pub(super) struct BackendAgreement {
    pub(super) workload: &'static str,
    pub(super) a: String,
    pub(super) b: String,
    /// Bits of the ReLU codes that differ, over all images and networks, each as often as K counts it. None
    /// where a backend does not hand out its codes.
    pub(super) code_bits_differ: Option<u64>,
    /// Number of those bits.
    pub(super) code_bits: Option<u64>,
    /// None where one score is -inf and the other is not.
    pub(super) max_score_difference: Option<f64>,
    pub(super) kendall_tau: Option<f64>,
}

/// The cost of one stage, for a network on average.
#[derive(Debug, Serialize)]
pub(super) struct StageCost {
    pub(super) workload: &'static str,
    pub(super) backend: &'static str,
    pub(super) device: String,
    pub(super) precision: &'static str,
    pub(super) stage: &'static str,
    /// Wall time: the stages of a network add up to its part of a round.
    pub(super) milliseconds: f64,
    pub(super) gflop_per_s: Option<f64>,
    pub(super) executed_gflop_per_s: Option<f64>,
    pub(super) gb_per_s: Option<f64>,
}

/// The groups of a round on a GPU.
#[derive(Debug, Serialize)]
pub(super) struct GroupCost {
    pub(super) workload: &'static str,
    pub(super) backend: &'static str,
    pub(super) device: String,
    pub(super) precision: &'static str,
    pub(super) groups: u64,
    /// Mean numbers.
    pub(super) networks_per_group: f64,
    pub(super) launches_per_group: f64,
}

impl GroupCost {
    /// None on a device that has no groups.
    pub(super) fn of(workload: &'static str, backend: &MeasuredBackend, groups: Groups) -> Option<Self> {
        let Groups { groups, networks, launches } = groups;
        (groups > 0).then(|| GroupCost {
            workload,
            backend: backend.name,
            device: backend.device.clone(),
            precision: backend.precision.name(),
            groups,
            networks_per_group: networks as f64 / groups as f64,
            launches_per_group: launches as f64 / groups as f64,
        })
    }
}

/// What the columns count.
const LEGEND: &str = "
GFLOP/s counts the multiplications and additions of convolutions as they are defined, of peak those that are carried out,
which Winograd's form needs fewer of. GB/s counts activations; of memory and of cache: of what is copied there; cached: faster
than memory. On a GPU a round runs launch by launch for these times, so a stage of short launches looks longer than it is.
";

impl BenchReport {
    /// The report as tables.
    pub(super) fn tables(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let Machine { cpu, cores, os } = &self.machine;
        writeln!(out, "{cpu}, {cores} cores, {os}; naswot {} ({})", self.naswot.version, self.naswot.commit)?;
        for ceilings in &self.ceilings {
            writeln!(out, "peak of {}: {}", ceilings.device, ceilings.known().join(", "))?;
        }
        if !self.not_measured.is_empty() {
            let each = self
                .not_measured
                .iter()
                .map(|NotMeasured { backend, reason }| format!("{backend} ({reason})"));
            writeln!(out, "not measured: {}", each.collect::<Vec<_>>().join("; "))?;
        }
        self.write_results(out)?;
        self.write_groups(out)?;
        self.write_agreement(out)?;
        self.write_stages(out)
    }

    fn write_results(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "\nNetworks per second, median (min to max) of rounds over the first k networks:")?;
        writeln!(
            out,
            "{:<25} {:<10} {:>4} {:>6} {:>10} {:>21} {:>8} {:>8} {:>6}",
            "workload", "backend", "k", "rounds", "networks/s", "", "GFLOP/s", "of peak", "ratio"
        )?;
        for result in &self.results {
            let Throughput { workload, backend, device, precision, networks, rounds, .. } = result;
            let Throughput { gflop_per_s, executed_gflop_per_s, .. } = result;
            let RateRange { median, min, max } = result.networks_per_second;
            let first = self.results.iter().find(|other| other.workload == *workload);
            let ratio = first.map_or(1.0, |first| median / first.networks_per_second.median);
            let peak = percent(*executed_gflop_per_s, self.matmul(backend, device, precision));
            let (label, range) =
                (format!("{backend} {precision}"), format!("({} to {})", short(min), short(max)));
            writeln!(
                out,
                "{workload:<25} {label:<10} {networks:>4} {rounds:>6} {:>10} {range:>21} {gflop_per_s:>8.1} {peak:>8} {ratio:>6.2}",
                short(median)
            )?;
        }
        Ok(())
    }

    fn write_groups(&self, out: &mut String) -> std::fmt::Result {
        if self.groups.is_empty() {
            return Ok(());
        }
        writeln!(out, "\nGroups on GPUs, means, and what launches cost of the time of a network:")?;
        writeln!(
            out,
            "{:<25} {:<10} {:>6} {:>8} {:>8} {:>8} {:>6}",
            "workload", "backend", "groups", "networks", "launches", "us", "share"
        )?;
        for group in &self.groups {
            let GroupCost { workload, backend, device, precision, groups, .. } = group;
            let GroupCost { networks_per_group, launches_per_group, .. } = group;
            let a_launch = self.ceilings(backend, device).and_then(|ceilings| ceilings.launch_microseconds);
            let cost = a_launch.map(|a_launch| a_launch * launches_per_group / networks_per_group);
            let result = self.results.iter().find(|result| {
                (result.workload, result.backend, &result.device, result.precision)
                    == (*workload, *backend, device, *precision)
            });
            let all = result.map(|result| 1e6 / result.networks_per_second.median);
            let label = format!("{backend} {precision}");
            writeln!(
                out,
                "{workload:<25} {label:<10} {groups:>6} {networks_per_group:>8.1} {launches_per_group:>8.1} {:>8} {:>6}",
                rounded(cost),
                cost.map(|cost| percent(cost, all)).unwrap_or_default()
            )?;
        }
        Ok(())
    }

    fn write_agreement(&self, out: &mut String) -> std::fmt::Result {
        for agreement in &self.agreement {
            let BackendAgreement { workload, a, b, code_bits_differ, code_bits, .. } = agreement;
            write!(out, "\n{workload}, {a} and {b}: ")?;
            if let (Some(differ), Some(bits)) = (code_bits_differ, code_bits) {
                write!(out, "{differ} of {bits} code bits differ ({:.1e}), ", *differ as f64 / *bits as f64)?;
            }
            match agreement.max_score_difference {
                Some(difference) => write!(out, "scores by {difference:.1e} at most")?,
                None => write!(out, "one of two scores is -inf")?,
            }
            if let Some(tau) = agreement.kendall_tau {
                write!(out, ", Kendall tau {tau:.4}")?;
            }
        }
        if self.agreement.is_empty() { Ok(()) } else { writeln!(out) }
    }

    fn write_stages(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "\nStages, milliseconds of wall time a network:")?;
        let (ms, flops, bytes) = ("ms", "GFLOP/s", "GB/s");
        writeln!(
            out,
            "{:<25} {:<10} {:<10} {ms:>9} {:>6} {flops:>9} {:>8} {bytes:>7} {:>9} {:>8}",
            "workload", "backend", "stage", "share", "of peak", "of memory", "of cache"
        )?;
        for cost in &self.stages {
            let StageCost { workload, backend, device, precision, stage, milliseconds, .. } = cost;
            let StageCost { gflop_per_s, executed_gflop_per_s, gb_per_s, .. } = cost;
            let same = |other: &&StageCost| {
                (other.workload, other.backend, &other.device, other.precision)
                    == (*workload, *backend, device, *precision)
            };
            let all: f64 = self.stages.iter().filter(same).map(|other| other.milliseconds).sum();
            let ceilings = self.ceilings(backend, device);
            let peak =
                executed_gflop_per_s.map(|rate| percent(rate, self.matmul(backend, device, precision)));
            let copy = ceilings.and_then(|ceilings| ceilings.copy_gb_per_s);
            let memory = gb_per_s.map(|rate| match copy {
                // What is faster than memory has not been there.
                Some(copy) if rate > copy => "cached".to_owned(),
                copy => percent(rate, copy),
            });
            let cache_copy = ceilings.and_then(|ceilings| ceilings.cache_copy_gb_per_s);
            let cache = gb_per_s.map(|rate| percent(rate, cache_copy));
            let label = format!("{backend} {precision}");
            writeln!(
                out,
                "{workload:<25} {label:<10} {stage:<10} {milliseconds:>9.3} {:>6} {:>9} {:>8} {:>7} {:>9} {:>8}",
                percent(*milliseconds, Some(all)),
                rounded(*gflop_per_s),
                peak.unwrap_or_default(),
                rounded(*gb_per_s),
                memory.unwrap_or_default(),
                cache.unwrap_or_default()
            )?;
        }
        out.push_str(LEGEND);
        Ok(())
    }

    fn ceilings(&self, backend: &str, device: &str) -> Option<&Ceilings> {
        self.ceilings.iter().find(|ceilings| (ceilings.backend, &*ceilings.device) == (backend, device))
    }

    fn matmul(&self, backend: &str, device: &str, precision: &str) -> Option<f64> {
        self.ceilings(backend, device)?.matmul_gflop_per_s.of(precision)
    }
}

/// A number to three significant digits.
fn short(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value if value >= 1.0 => format!("{value:.2}"),
        value => format!("{value:.3}"),
    }
}

fn rounded(value: Option<f64>) -> String {
    value.map_or(String::new(), |value| format!("{value:.1}"))
}

fn percent(value: f64, whole: Option<f64>) -> String {
    whole.map_or(String::new(), |whole| format!("{:.0} %", 100.0 * value / whole))
}

#[cfg(test)]
mod tests {
    use super::super::ceilings::{Kernels, Matmul};
    use super::*;

    fn stage(stage: &'static str, milliseconds: f64, gb_per_s: Option<f64>) -> StageCost {
        let (workload, backend, precision) = ("nasbench201-n32", "cpu", "f32");
        let of_conv = |rate: f64| (stage == "conv").then_some(rate);
        let (gflop_per_s, executed_gflop_per_s) = (of_conv(150.0), of_conv(60.0));
        StageCost {
            workload,
            backend,
            device: "CPU (avx512)".to_owned(),
            precision,
            stage,
            milliseconds,
            gflop_per_s,
            executed_gflop_per_s,
            gb_per_s,
        }
    }

    fn throughput(backend: &'static str, device: &str, networks_per_second: f64) -> Throughput {
        Throughput {
            workload: "nasbench201-n32",
            backend,
            device: device.to_owned(),
            precision: "f32",
            networks: 3,
            rounds: 2,
            networks_per_second: RateRange::of(vec![networks_per_second - 10.0, networks_per_second + 10.0]),
            gflop_per_s: networks_per_second,
            executed_gflop_per_s: 50.0,
        }
    }

    #[test]
    fn tables_name_what_is_missing_and_claim_no_more_than_can_be() {
        let gpu = Ceilings {
            backend: "cuda",
            device: "GPU".to_owned(),
            copy_gb_per_s: None,
            cache_copy_gb_per_s: None,
            matmul_gflop_per_s: Matmul { f32: None, f64: None },
            launch_microseconds: Some(2.0),
            kernels: Some(Kernels { seconds: 12.5, compiled: 11, cached: 0 }),
        };
        let report = BenchReport {
            machine: Machine { cpu: "CPU".to_owned(), cores: 2, os: "linux".to_owned() },
            naswot: Build { version: "1", commit: "c", features: Vec::new() },
            not_measured: vec![NotMeasured { backend: "cuda".to_owned(), reason: "no driver".to_owned() }],
            ceilings: vec![
                Ceilings {
                    backend: "cpu",
                    device: "CPU (avx512)".to_owned(),
                    copy_gb_per_s: Some(10.0),
                    cache_copy_gb_per_s: Some(400.0),
                    matmul_gflop_per_s: Matmul { f32: Some(100.0), f64: Some(20.0) },
                    launch_microseconds: None,
                    kernels: None,
                },
                gpu,
            ],
            results: vec![throughput("cpu", "CPU (avx512)", 110.0), throughput("cuda", "GPU", 1000.0)],
            agreement: Vec::new(),
            stages: vec![
                stage("conv", 4.0, None),
                stage("batch_norm", 0.0, None),
                stage("combine", 3.0, Some(80.0)),
                stage("other", 3.0, Some(5.0)),
            ],
            groups: vec![GroupCost {
                workload: "nasbench201-n32",
                backend: "cuda",
                device: "GPU".to_owned(),
                precision: "f32",
                groups: 4,
                networks_per_group: 2.0,
                launches_per_group: 50.0,
            }],
        };
        let tables = report.tables();
        let lines: Vec<&str> = tables.lines().collect();
        let columns = |start: &str| -> Vec<&str> {
            let line = lines.iter().find(|line| line.contains(start)).copied().unwrap_or_default();
            line.split_whitespace().collect()
        };
        assert!(lines.contains(&"not measured: cuda (no driver)"), "{tables}");
        let gpu =
            "peak of GPU: a launch 2.00 us, kernels ready in 12.50 s (11 sources compiled, 0 from the cache)";
        assert!(lines.contains(&gpu), "{tables}");
        // Launches take 50 of the 1000 microseconds of a network.
        assert_eq!(columns(" 50.0 ")[3..], ["4", "2.0", "50.0", "50.0", "5", "%"], "{tables}");
        // Nominal, and of what is carried out.
        assert_eq!(columns(" 110.0 ")[9..], ["110.0", "50", "%", "1.00"], "{tables}");
        assert_eq!(columns(" conv ")[4..], ["4.000", "40", "%", "150.0", "60", "%"], "{tables}");
        assert_eq!(columns(" batch_norm ")[4..], ["0.000", "0", "%"], "{tables}");
        assert_eq!(columns(" combine ")[6..], ["%", "80.0", "cached", "20", "%"], "{tables}");
        assert_eq!(columns(" other ")[6..], ["%", "5.0", "50", "%", "1", "%"], "{tables}");
    }
}
