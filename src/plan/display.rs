//! A plan as a table for people, and as JSON for programs.

use std::fmt;

use serde::Serialize;

use super::jobs::*;
use super::{Memory, Plan};
use crate::graph::Shape;

/// A job of either stage, with all its fields.
#[derive(Serialize)]
#[serde(untagged)]
enum Job<'a> {
    Conv(&'a ConvJob),
    Combine(&'a CombineJob),
    Gram(&'a GramJob),
}

/// One job as a row.
#[derive(Serialize)]
struct Row<'a> {
    slot: Slot,
    stage: &'static str,
    /// What it reads, term by term or channel range by channel range.
    reads: Vec<String>,
    shape: Shape,
    #[serde(skip_serializing_if = "Option::is_none")]
    tile: Option<TileClass>,
    /// First octet of the output; absent where no tensor is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<usize>,
    /// Multiply-accumulates for one image.
    macs: u64,
    /// Batch norms over its output.
    norms: Vec<String>,
    /// Code words that it emits for one image.
    code_words: usize,
    job: Job<'a>,
}

/// The whole plan.
#[derive(Serialize)]
struct Table<'a> {
    batch: usize,
    convention: &'static str,
    activations: u32,
    slots: usize,
    macs: u64,
    code_words: usize,
    memory: Memory,
    jobs: Vec<Row<'a>>,
    /// What the jobs name by position.
    tensors: &'a [Tensor],
    parameters: &'a [Parameter],
    regions: &'a [Region],
    agreements: &'a [AgreementJob],
}

impl Plan {
    fn rows(&self) -> Vec<Row<'_>> {
        let mut rows = Vec::new();
        for jobs in &self.slots {
            rows.extend(self.combines[jobs.combines.clone()].iter().map(|job| self.combine_row(job)));
            rows.extend(self.convs[jobs.convs.clone()].iter().map(|job| self.conv_row(job)));
            rows.extend(self.grams[jobs.grams.clone()].iter().map(|job| self.gram_row(job)));
        }
        rows
    }

    fn combine_row<'a>(&self, job: &'a CombineJob) -> Row<'a> {
        let mut regions: Vec<usize> = job.terms.iter().filter_map(|term| term.code).chain(job.code).collect();
        regions.dedup();
        let window = job.window.map(|(pool, window)| {
            let name = if pool == Pool::Max { "max" } else { "average" };
            format!("{name} {}x{}/{}", window.kernel[0], window.kernel[1], window.stride[0])
        });
        let terms = job.terms.iter().map(|term| {
            let source = if term.tensor == IMAGE { "image".to_owned() } else { format!("t{}", term.tensor) };
            let ways = [(term.norm.is_some(), " norm"), (term.relu, " relu"), (term.average, " average3x3")];
            let ways: String = ways.iter().filter(|(on, _)| *on).map(|(_, word)| *word).collect();
            let end = term.channel + term.channels;
            let to = if term.to > 0 { format!(" at {}", term.to) } else { String::new() };
            format!("{source}[{}..{end}]{ways}{to}", term.channel)
        });
        Row {
            slot: job.slot,
            stage: "combine",
            reads: window.into_iter().chain(terms).collect(),
            shape: job.shape,
            tile: None,
            place: job.output.map(|tensor| self.tensors[tensor].offset),
            macs: 0,
            norms: job.statistics.norms.iter().map(|norm| norm.name.clone()).collect(),
            code_words: regions.iter().map(|&region| self.regions[region].words()).sum(),
            job: Job::Combine(job),
        }
    }

    fn conv_row<'a>(&self, job: &'a ConvJob) -> Row<'a> {
        let output = &self.tensors[job.output];
        let parts = job.parts.iter().map(|part| self.parameters[part.parameter].name.clone());
        let relu = if job.relu { " relu" } else { "" };
        let source = if job.input == IMAGE { "image".to_owned() } else { format!("t{}", job.input) };
        let kernel = format!("{source}{relu} {}x{}/{}", job.kernel[0], job.kernel[1], job.stride[0]);
        let pixels = output.shape.pixels() as u64;
        let taps = job.kernel[0] * job.kernel[1];
        let macs = job.parts.iter().map(|part| {
            let parameter = &self.parameters[part.parameter].shape;
            let end = ((part.row + part.octets) * OCTET).min(parameter.out_channels);
            (end - part.row * OCTET) as u64 * (parameter.in_channels * taps) as u64 * pixels
        });
        Row {
            slot: job.slot,
            stage: "conv",
            reads: std::iter::once(kernel).chain(parts).collect(),
            shape: Shape { channels: job.octets().len() * OCTET, ..output.shape },
            tile: Some(job.class),
            place: Some(output.offset),
            macs: macs.sum(),
            norms: job.statistics.norms.iter().map(|norm| norm.name.clone()).collect(),
            code_words: 0,
            job: Job::Conv(job),
        }
    }

    fn gram_row<'a>(&self, job: &'a GramJob) -> Row<'a> {
        let end = job.channel + job.channels;
        let relu = if job.relu { " relu" } else { "" };
        let purposes = [
            (job.least > 0).then(|| format!("least eigenvalue x{}", job.least)),
            (!job.marks.is_empty()).then(|| {
                let marks: Vec<String> = job.marks.iter().map(usize::to_string).collect();
                format!("spectrum of mark {}", marks.join(" and "))
            }),
        ];
        let source = format!("t{}[{}..{end}]{relu}", job.tensor, job.channel);
        Row {
            slot: job.slot,
            stage: "gram",
            reads: std::iter::once(source).chain(purposes.into_iter().flatten()).collect(),
            shape: Shape { channels: job.channels, ..self.tensors[job.tensor].shape },
            tile: None,
            place: None,
            macs: 0,
            norms: Vec::new(),
            code_words: 0,
            job: Job::Gram(job),
        }
    }

    fn table(&self) -> Table<'_> {
        let jobs = self.rows();
        Table {
            batch: self.images,
            convention: self.convention.name(),
            activations: self.activations,
            slots: self.slots.len(),
            macs: jobs.iter().map(|row| row.macs).sum(),
            code_words: self.words_per_image,
            memory: self.memory(),
            jobs,
            tensors: &self.tensors,
            parameters: &self.parameters,
            regions: &self.regions,
            agreements: &self.agreements,
        }
    }
}

impl Serialize for Plan {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.table().serialize(serializer)
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let table = self.table();
        writeln!(
            f,
            "{} slots, {} jobs, {:.2} MMAC an image, {} activations, {} code words an image; `{}`, batch of {}: {:.1} MB in f32",
            table.slots,
            table.jobs.len(),
            table.macs as f64 / 1e6,
            table.activations,
            table.code_words,
            table.convention,
            table.batch,
            self.memory().bytes(4) as f64 / 1e6,
        )?;
        writeln!(
            f,
            "{:<11} {:<8} {:<11} {:<6} {:>9} {:>8} {:>7}  reads",
            "slot", "stage", "shape", "tile", "place", "MMAC", "words"
        )?;
        for row in &table.jobs {
            let tile = match row.tile {
                Some(TileClass::Narrow) => "narrow",
                Some(TileClass::Wide) => "wide",
                None => "",
            };
            let nowhere = if row.code_words > 0 { "bits" } else { "" };
            let place = row.place.map_or(nowhere.to_owned(), |place| place.to_string());
            let macs = if row.macs > 0 { format!("{:.2}", row.macs as f64 / 1e6) } else { String::new() };
            let words = if row.code_words > 0 { row.code_words.to_string() } else { String::new() };
            writeln!(
                f,
                "{:<11} {:<8} {:<11} {tile:<6} {place:>9} {macs:>8} {words:>7}  {}",
                row.slot.to_string(),
                row.stage,
                row.shape.to_string(),
                row.reads.join(", ")
            )?;
        }
        Ok(())
    }
}
