//! Programs: the order in which lanes run a plan's jobs, and where its tensors lie.
//!
//! Only a batch norm makes images wait for one another. So jobs form *groups*: those that follow each other until one
//! reads what another one's statistics normalize. A group does all its jobs for one block of images before it turns
//! to the next block, and what passes from job to job inside it stays in cache, in one place for all blocks. And a
//! sum that nothing but one convolution reads is not stored at all: it is made row by row while that convolution
//! runs, so its terms must live until then.

use std::ops::Range;

use super::layout::{TensorLayout, Use};
use super::simd::Simd;
use crate::plan::Plan;
use crate::plan::jobs::{CombineJob, IMAGE, NormJob, TensorId, Term};
use crate::plan::place::Life;

/// An instruction: a job of the plan, by its position among those of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Instruction {
    Combine(usize),
    /// A convolution, and the sum that goes straight into it.
    Conv {
        job: usize,
        sum: Option<usize>,
    },
    Gram(usize),
}

impl Instruction {
    /// The terms that it reads.
    fn terms(self, plan: &Plan) -> &[Term] {
        match self {
            Instruction::Combine(job) | Instruction::Conv { sum: Some(job), .. } => &plan.combines[job].terms,
            Instruction::Conv { .. } | Instruction::Gram(_) => &[],
        }
    }

    /// The tensor that it reads as a whole.
    fn input(self, plan: &Plan) -> Option<TensorId> {
        match self {
            Instruction::Conv { job, sum: None } => Some(plan.convs[job].input),
            Instruction::Gram(job) => Some(plan.grams[job].tensor),
            _ => None,
        }
    }

    /// The batch norms of what it makes.
    pub(super) fn norms(self, plan: &Plan) -> &[NormJob] {
        match self {
            Instruction::Combine(job) => &plan.combines[job].statistics.norms,
            Instruction::Conv { job, .. } => &plan.convs[job].statistics.norms,
            Instruction::Gram(_) => &[],
        }
    }

    pub(super) fn output(self, plan: &Plan) -> Option<TensorId> {
        match self {
            Instruction::Combine(job) => plan.combines[job].output,
            Instruction::Conv { job, .. } => Some(plan.convs[job].output),
            Instruction::Gram(_) => None,
        }
    }
}

/// The program of a plan, as lanes run it.
pub(super) struct Program {
    pub(super) instructions: Vec<Instruction>,
    /// Instructions that need no other's statistics.
    pub(super) groups: Vec<Range<usize>>,
    pub(super) layout: TensorLayout,
}

impl Program {
    pub(super) fn new<S: Simd, const W: usize>(plan: &Plan) -> Self {
        let sums = sums(plan);
        let stored = |&job: &usize| !sums.contains(&Some(job));
        let mut jobs = Vec::with_capacity(plan.combines.len() + plan.convs.len());
        for slot in &plan.slots {
            jobs.extend(slot.combines.clone().filter(stored).map(Instruction::Combine));
            jobs.extend(slot.convs.clone().map(|job| Instruction::Conv { job, sum: sums[job] }));
        }
        let instructions = with_grams(plan, jobs);
        let groups = groups(plan, &instructions);
        let layout = TensorLayout::new::<S, W>(plan, &uses(plan, &instructions, &groups));
        Program { instructions, groups, layout }
    }
}

/// Puts each gram job right behind the last one that writes its tensor, which is in cache then.
fn with_grams(plan: &Plan, jobs: Vec<Instruction>) -> Vec<Instruction> {
    if plan.grams.is_empty() {
        return jobs;
    }
    let mut grams: Vec<Vec<usize>> = vec![Vec::new(); plan.tensors.len()];
    plan.grams.iter().enumerate().for_each(|(gram, job)| grams[job.tensor].push(gram));
    let mut last = vec![None; plan.tensors.len()];
    for (position, job) in jobs.iter().enumerate() {
        job.output(plan).into_iter().for_each(|output| last[output] = Some(position));
    }
    let mut instructions: Vec<Instruction> = grams[IMAGE].iter().copied().map(Instruction::Gram).collect();
    for (position, job) in jobs.into_iter().enumerate() {
        instructions.push(job);
        let written = job.output(plan).filter(|&output| last[output] == Some(position));
        instructions
            .extend(written.into_iter().flat_map(|output| &grams[output]).copied().map(Instruction::Gram));
    }
    assert_eq!(
        instructions.iter().filter(|instruction| matches!(instruction, Instruction::Gram(_))).count(),
        plan.grams.len(),
        "every gram job reads a tensor that is written"
    );
    instructions
}

/// Cuts instructions where one normalizes what was made since the last cut.
fn groups(plan: &Plan, instructions: &[Instruction]) -> Vec<Range<usize>> {
    let mut groups = Vec::new();
    let mut start = 0;
    // The group that makes a tensor.
    let mut made: Vec<Option<usize>> = vec![None; plan.tensors.len()];
    for (i, instruction) in instructions.iter().enumerate() {
        if instruction
            .terms(plan)
            .iter()
            .any(|term| term.norm.is_some() && made[term.tensor] == Some(groups.len()))
        {
            groups.push(start..i);
            start = i;
        }
        if let Some(output) = instruction.output(plan) {
            made[output] = Some(groups.len());
        }
    }
    groups.push(start..instructions.len());
    groups
}

/// For each convolution the combine job that makes its input for it alone: one without a window, whose rows need
/// no others, and without statistics, which a batch norm would wait for.
fn sums(plan: &Plan) -> Vec<Option<usize>> {
    let mut readers = vec![0; plan.tensors.len()];
    plan.convs.iter().for_each(|job| readers[job.input] += 1);
    plan.grams.iter().for_each(|job| readers[job.tensor] += 1);
    plan.combines.iter().flat_map(|job| &job.terms).for_each(|term| readers[term.tensor] += 1);
    let mut makers = vec![None; plan.tensors.len()];
    let plain = |job: &CombineJob| job.window.is_none() && job.statistics.norms.is_empty();
    for (i, job) in plan.combines.iter().enumerate().filter(|(_, job)| plain(job)) {
        if let Some(output) = job.output.filter(|&output| readers[output] == 1) {
            makers[output] = Some(i);
        }
    }
    plan.convs.iter().map(|job| makers[job.input]).collect()
}

/// From when to when every tensor is in use; none for the image, and for what is not stored.
fn uses(plan: &Plan, instructions: &[Instruction], groups: &[Range<usize>]) -> Vec<Option<Use>> {
    // The life of each tensor among groups, and among instructions.
    let mut lives: Vec<Option<[Life; 2]>> = vec![None; plan.tensors.len()];
    for (g, group) in groups.iter().enumerate() {
        for position in group.clone() {
            let instruction = instructions[position];
            let read = instruction.terms(plan).iter().map(|term| term.tensor).chain(instruction.input(plan));
            for tensor in read.chain(instruction.output(plan)) {
                let [groups, positions] = lives[tensor].get_or_insert([g, position].map(Life::at));
                (groups.last, positions.last) = (g, position);
            }
        }
    }
    lives[IMAGE] = None;
    let of = |[groups, positions]: [Life; 2]| {
        if groups.first == groups.last { Use::Passes(positions) } else { Use::Lasts(groups) }
    };
    lives.into_iter().map(|tensor| tensor.map(of)).collect()
}
