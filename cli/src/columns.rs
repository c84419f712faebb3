//! The register of columns: the fields of a row, in order.
//!
//! All that makes, writes, reads, compares, converts or shows rows goes by it, and so does docs/output.md. A new column
//! is an entry here, with its value; it comes behind those that there are.

use naswot::{Architecture, ScoreKind};

use crate::field::{Field, FieldKind};
use crate::row_inputs::RowInputs;
use crate::text::one_line;

/// A column of rows.
#[derive(Debug)]
pub struct Column {
    /// Its name in headers and keys.
    pub name: &'static str,
    /// The kind of its fields.
    pub kind: FieldKind,
    /// Its role.
    pub role: Role,
    /// Whether a row with a score may have nothing in it.
    pub may_be_empty: bool,
    /// The rows that must have equal fields in it.
    pub compare: Compare,
    /// Its title in reports and pictures.
    pub title: &'static str,
    /// Its meaning, as docs/output.md has it.
    pub doc: &'static str,
    /// Its field in the row of a network.
    pub value: fn(&RowInputs) -> Field,
}

/// The role of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Identity of the network.
    Key,
    /// Size of the network: a baseline that a score has to beat.
    Size,
    /// Result of scoring the network.
    Result,
    /// Setting of the scores.
    Setting(Group),
    /// Property that stands with the settings, but has no part in a score.
    Free(Group),
}

/// The group of a setting: a list in the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// The batch.
    Images,
    /// The network around the cell.
    Networks,
    /// The initial weights.
    Weights,
    /// The computation of scores.
    Computation,
}

impl Group {
    /// All of them.
    pub const ALL: [Self; 4] = [Group::Images, Group::Networks, Group::Weights, Group::Computation];

    /// Its title.
    pub fn name(self) -> &'static str {
        match self {
            Group::Images => "Images",
            Group::Networks => "Networks",
            Group::Weights => "Weights",
            Group::Computation => "Computation",
        }
    }
}

/// The rows that must have equal fields in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    /// No rows.
    Never,
    /// The row that is kept, and the one that this run would write in its place.
    Place,
    /// Rows of one run and of its shards, too.
    Run,
    /// Rows whose scores are compared, too, within a space.
    Space,
    /// Rows whose scores are compared, too.
    All,
}

/// The columns of rows, in order.
pub static COLUMNS: &[Column] = &[
    Column {
        name: "index",
        kind: FieldKind::Integer,
        role: Role::Key,
        may_be_empty: false,
        compare: Compare::Place,
        title: "index",
        doc: "position among the networks of the input, from 0; with `--shard`, of all shards",
        value: |of| Field::integer(of.subject.index as u64),
    },
    Column {
        name: "line",
        kind: FieldKind::Integer,
        role: Role::Key,
        may_be_empty: true,
        compare: Compare::Never,
        title: "line",
        doc: "line of the input, from 1; empty for networks of a space",
        value: |of| Field::integer(of.subject.line.map(|line| line as u64)),
    },
    Column {
        name: "space",
        kind: FieldKind::Text,
        role: Role::Free(Group::Networks),
        may_be_empty: false,
        // The arch says as much.
        compare: Compare::Never,
        title: "search space",
        doc: "name of the [search space](#search-spaces)",
        value: |of| {
            of.subject.architecture.map_or(Field::Empty, |architecture| Field::text(architecture.space()))
        },
    },
    Column {
        name: "id",
        kind: FieldKind::Text,
        role: Role::Key,
        may_be_empty: false,
        compare: Compare::Place,
        title: "id",
        doc: "what the benchmark calls the network, by space. Joins go by it",
        value: |of| match (of.subject.facts, of.subject.architecture) {
            (Some(facts), _) => Field::text(&facts.id),
            (None, architecture) => architecture.map_or(Field::Empty, |found| Field::text(found.id())),
        },
    },
    Column {
        name: "arch",
        kind: FieldKind::Text,
        role: Role::Key,
        may_be_empty: false,
        compare: Compare::Place,
        title: "arch",
        doc: "the network as one word, by space",
        value: |of| of.subject.architecture.map(Architecture::arch).map_or(Field::Empty, Field::Text),
    },
    Column {
        name: "score",
        kind: FieldKind::Score,
        role: Role::Result,
        may_be_empty: false,
        compare: Compare::Never,
        title: "score, ln |det K|",
        doc: "natural logarithm of the determinant of K; `-inf` (in JSON the string `\"-inf\"`) when K is singular. Higher \
              is better",
        value: |of| Field::real(of.outcome.ok().and_then(|outcome| outcome.score(ScoreKind::Nwot))),
    },
    Column {
        name: "activations",
        kind: FieldKind::Integer,
        role: Role::Result,
        may_be_empty: false,
        compare: Compare::Never,
        title: "activations",
        doc: "N_A: ReLU bits of one image, the diagonal of K",
        value: |of| Field::integer(of.subject.facts.and_then(|facts| facts.activations)),
    },
    Column {
        name: "parameters",
        kind: FieldKind::Integer,
        role: Role::Size,
        may_be_empty: false,
        compare: Compare::Never,
        title: "parameters",
        doc: "trainable ones, batch norms and a classifier of ten classes included",
        value: |of| Field::integer(of.subject.facts.map(|facts| facts.parameters)),
    },
    Column {
        name: "macs",
        kind: FieldKind::Integer,
        role: Role::Size,
        may_be_empty: false,
        compare: Compare::Never,
        title: "multiply-accumulates",
        doc: "multiply-accumulates of the convolutions for one image",
        value: |of| Field::integer(of.subject.facts.and_then(|facts| facts.macs)),
    },
    Column {
        name: "error",
        kind: FieldKind::Text,
        role: Role::Result,
        may_be_empty: true,
        compare: Compare::Never,
        title: "error",
        doc: "why there is no score, on one line",
        value: |of| of.outcome.err().map_or(Field::Empty, |error| Field::Text(one_line(error))),
    },
    Column {
        name: "seconds",
        kind: FieldKind::Real,
        role: Role::Result,
        may_be_empty: false,
        compare: Compare::Never,
        title: "seconds",
        doc: "wall time of the group that the network was scored in, divided by the networks in it",
        // To the microsecond.
        value: |of| Field::real(of.outcome.map(|outcome| (outcome.seconds * 1e6).round() / 1e6).ok()),
    },
    Column {
        name: "batch_size",
        kind: FieldKind::Integer,
        role: Role::Setting(Group::Images),
        may_be_empty: false,
        compare: Compare::All,
        title: "images, N",
        doc: "images",
        value: |of| Field::integer(of.settings.batch_shape[0] as u64),
    },
    Column {
        name: "stem",
        kind: FieldKind::Integer,
        role: Role::Setting(Group::Networks),
        // The space says.
        may_be_empty: true,
        // Each space has a default of its own.
        compare: Compare::Space,
        title: "channels of the stem",
        doc: "channels behind the stem; empty in a space that has no such setting",
        value: |of| {
            Field::integer(of.skeleton.settings(of.subject.architecture).stem.map(|stem| stem as u64))
        },
    },
    Column {
        name: "cells",
        kind: FieldKind::Integer,
        role: Role::Setting(Group::Networks),
        // The space says.
        may_be_empty: true,
        // Each space has a default of its own.
        compare: Compare::Space,
        title: "cells of a stack",
        doc: "cells of a stack; empty in a space that has no such setting",
        value: |of| {
            Field::integer(of.skeleton.settings(of.subject.architecture).cells.map(|cells| cells as u64))
        },
    },
    Column {
        name: "seed",
        kind: FieldKind::Integer,
        role: Role::Setting(Group::Weights),
        may_be_empty: true,
        compare: Compare::All,
        title: "seed",
        doc: "of the weights; empty with a checkpoint, which no seed has a part in",
        value: |of| Field::integer(of.settings.seed),
    },
    Column {
        name: "data",
        kind: FieldKind::Text,
        role: Role::Setting(Group::Images),
        may_be_empty: false,
        compare: Compare::All,
        title: "data",
        doc: "where the images are from: `synthetic`, `cifar10`, `cifar100`, `imagenet16`, `images`, `npy`",
        value: |of| Field::text(&of.settings.data),
    },
    Column {
        name: "batch_sha256",
        kind: FieldKind::Text,
        role: Role::Setting(Group::Images),
        may_be_empty: false,
        compare: Compare::All,
        title: "SHA-256 of the batch",
        doc: "digest of the images as they went in",
        value: |of| Field::text(&of.settings.batch_sha256),
    },
    Column {
        name: "initializer",
        kind: FieldKind::Text,
        role: Role::Setting(Group::Weights),
        may_be_empty: false,
        compare: Compare::All,
        title: "initializer",
        doc: "`space`: the search space's own initial weights; another one by its name, such as `xavier-normal`; \
              `checkpoint`",
        value: |of| Field::text(of.settings.initializer),
    },
    Column {
        name: "weights_sha256",
        kind: FieldKind::Text,
        role: Role::Setting(Group::Weights),
        may_be_empty: true,
        compare: Compare::All,
        title: "SHA-256 of the checkpoint",
        doc: "digest of the checkpoint's file; empty for a seed",
        value: |of| of.settings.weights_sha256.as_ref().map_or(Field::Empty, Field::text),
    },
    Column {
        name: "convention",
        kind: FieldKind::Text,
        role: Role::Setting(Group::Computation),
        may_be_empty: false,
        compare: Compare::All,
        title: "ReLUs counted by",
        doc: "how ReLUs are counted: `relu` or `original`",
        value: |of| Field::text(of.settings.convention.name()),
    },
    Column {
        name: "precision",
        kind: FieldKind::Text,
        role: Role::Setting(Group::Computation),
        may_be_empty: false,
        compare: Compare::All,
        title: "precision",
        doc: "what was used: `f32`, `f64`; never `auto`",
        value: |of| Field::text(of.settings.precision),
    },
    Column {
        name: "backend",
        kind: FieldKind::Text,
        role: Role::Setting(Group::Computation),
        may_be_empty: false,
        compare: Compare::Run,
        title: "backend",
        doc: "what was used: `cpu`, `cuda` or `wgpu`; never `auto`",
        value: |of| Field::text(of.settings.backend),
    },
    Column {
        name: "device",
        kind: FieldKind::Text,
        role: Role::Free(Group::Computation),
        may_be_empty: false,
        compare: Compare::Never,
        title: "device",
        doc: "its name; of the CPU with the instruction set of its fast path, the widest that the batch fills, of \
              a GPU with its kind and driver, so that a software adapter is seen as such",
        value: |of| Field::text(&of.settings.device),
    },
    Column {
        name: "naswot_version",
        kind: FieldKind::Text,
        role: Role::Setting(Group::Computation),
        may_be_empty: false,
        compare: Compare::All,
        title: "naswot",
        doc: "version of naswot",
        value: |of| Field::text(of.settings.naswot_version),
    },
    Column {
        name: "noise",
        kind: FieldKind::Real,
        role: Role::Setting(Group::Images),
        may_be_empty: false,
        compare: Compare::All,
        title: "noise (standard deviation)",
        doc: "standard deviation of the noise added to the images, in normalized units; 0 for none",
        value: |of| Field::real(of.settings.noise),
    },
    Column {
        name: "repeats",
        kind: FieldKind::Integer,
        role: Role::Setting(Group::Weights),
        may_be_empty: false,
        compare: Compare::All,
        title: "seeds scored",
        doc: "seeds that were scored, from `seed` up",
        value: |of| Field::integer(of.settings.repeats as u64),
    },
    Column {
        name: "score_sd",
        kind: FieldKind::Real,
        role: Role::Result,
        may_be_empty: true,
        compare: Compare::Never,
        title: "deviation of the score",
        doc: "standard deviation of the score over the seeds (of a sample: divided by R - 1); empty for one seed, and \
              where a score is -inf",
        value: |of| Field::real(of.outcome.ok().and_then(|outcome| outcome.deviation)),
    },
    Column {
        name: "swap",
        kind: FieldKind::Score,
        role: Role::Result,
        may_be_empty: true,
        compare: Compare::Never,
        title: "swap, distinct patterns",
        doc: "distinct activation patterns of the ReLU units over the first `swap_images` images. Higher is better",
        value: |of| Field::real(of.outcome.ok().and_then(|outcome| outcome.score(ScoreKind::Swap))),
    },
    Column {
        name: "meco",
        kind: FieldKind::Score,
        role: Role::Result,
        may_be_empty: true,
        compare: Compare::Never,
        title: "meco, least eigenvalues",
        doc: "sum of the least eigenvalues of channel correlations over convolutions and cells. Higher is better; narrow layers have larger ones, so networks of different `stem` cannot be compared",
        value: |of| Field::real(of.outcome.ok().and_then(|outcome| outcome.score(ScoreKind::Meco))),
    },
    Column {
        name: "expressivity",
        kind: FieldKind::Score,
        role: Role::Result,
        may_be_empty: true,
        compare: Compare::Never,
        title: "expressivity, sum of entropies",
        doc: "sum over the stem and all cells of the entropy of the spectrum of the channel covariance; -inf where one is constant. Higher is better",
        value: |of| Field::real(of.outcome.ok().and_then(|outcome| outcome.score(ScoreKind::Expressivity))),
    },
    Column {
        name: "progressivity",
        kind: FieldKind::Score,
        role: Role::Result,
        may_be_empty: true,
        compare: Compare::Never,
        title: "progressivity, least growth of entropy",
        doc: "least growth of that entropy from the stem or a cell to the next cell; -inf where one is constant. Higher is better",
        value: |of| Field::real(of.outcome.ok().and_then(|outcome| outcome.score(ScoreKind::Progressivity))),
    },
    Column {
        name: "convs",
        kind: FieldKind::Integer,
        role: Role::Size,
        may_be_empty: false,
        compare: Compare::Never,
        title: "convolutions",
        doc: "convolutions that have a path to the output; an edge times zero is an edge",
        value: |of| Field::integer(of.subject.facts.map(|facts| facts.convolutions)),
    },
    Column {
        name: "scores",
        kind: FieldKind::Text,
        role: Role::Setting(Group::Computation),
        may_be_empty: false,
        compare: Compare::Run,
        title: "scores",
        doc: "scores that were asked for, with commas between: `nwot`, which is the column `score`, and further columns of results",
        value: |of| Field::text(of.settings.scores),
    },
    Column {
        name: "swap_images",
        kind: FieldKind::Integer,
        role: Role::Setting(Group::Computation),
        may_be_empty: true,
        compare: Compare::All,
        title: "images of swap",
        doc: "images over which `swap` counts patterns: M, or all of a smaller batch; empty where `swap` was not asked for",
        value: |of| Field::integer(of.settings.swap_images.map(|images| images as u64)),
    },
];

/// The place of a column in rows.
pub fn place(name: &str) -> usize {
    let place = COLUMNS.iter().position(|column| column.name == name);
    place.unwrap_or_else(|| unreachable!("no column is named `{name}`"))
}

/// The column of a name that may be none.
pub fn find(name: &str) -> Option<&'static Column> {
    COLUMNS.iter().find(|column| column.name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_documentation_has_every_column() {
        let row =
            |column: &Column| format!("| `{}` | {} | {} |\n", column.name, column.kind.name(), column.doc);
        let table: String = COLUMNS.iter().map(row).collect();
        let table = format!("\n\n| column | type | meaning |\n|---|---|---|\n{table}\n");
        assert!(include_str!("../docs/output.md").contains(&table), "docs/output.md is to have:{table}");
    }

    #[test]
    fn names_are_different() {
        let names: HashSet<&str> = COLUMNS.iter().map(|column| column.name).collect();
        assert_eq!(names.len(), COLUMNS.len());
    }
}
