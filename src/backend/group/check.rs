//! Bounds checks: every extent that a kernel touches lies inside its buffer, since kernels check nothing.

use std::fmt::Debug;
use std::ops::Range;

use super::planar::{self, UNITS, plane, units};
use super::records::*;
use super::{Buffer, Group, Launch, LaunchKind, Shared, Table};
use crate::plan::jobs::{OCTET, UNIT, octets};
use crate::weights::RowShape;
use crate::{BackendErrorKind, Error, Result};

impl Group {
    /// Checks the records of every launch, with so many octets in the weight pool.
    ///
    /// # Errors
    /// A place outside its buffer, which is a fault of this crate.
    pub(crate) fn check(&self, pool: usize) -> Result<()> {
        self.launches.iter().try_for_each(|launch| Extents::new(self, launch, pool).check())
    }
}

/// The extents of one launch.
struct Extents<'a> {
    group: &'a Group,
    launch: &'a Launch,
    /// Octets of the weight pool.
    pool: usize,
    images: usize,
    /// Pixels of the outputs of one image.
    pixels: usize,
    /// Pixels of a block of partial statistics, and how many there are.
    block: usize,
    blocks: usize,
}

impl<'a> Extents<'a> {
    fn new(group: &'a Group, launch: &'a Launch, pool: usize) -> Self {
        let LaunchRecord { images, block, blocks, .. } = launch.record;
        let [images, block, blocks] = [images, block, blocks].map(|count| count as usize);
        let pixels = launch.slot.map_or(0, |slot| slot.height * slot.width);
        Extents { group, launch, pool, images, pixels, block, blocks }
    }

    fn check(&self) -> Result<()> {
        let (tables, range) = (&self.group.tables, self.launch.jobs());
        match self.launch.kind {
            LaunchKind::Combine | LaunchKind::CombineAny | LaunchKind::StoredBatchNorm => {
                tables.combines[range].iter().try_for_each(|job| self.combine(job))
            }
            LaunchKind::ConvNarrow | LaunchKind::ConvWide | LaunchKind::ConvTensor | LaunchKind::ConvAny => {
                tables.convs[range].iter().try_for_each(|job| self.conv(job))
            }
            LaunchKind::BatchNorm => tables.norm_jobs[range].iter().try_for_each(|job| self.norm(job)),
            LaunchKind::Agreement => tables.agreements[range].iter().try_for_each(|job| self.agreement(job)),
            LaunchKind::Start | LaunchKind::Cholesky => {
                tables.choleskys[range].iter().try_for_each(|job| self.network(job.network))
            }
            LaunchKind::ClearPatterns | LaunchKind::Swap => {
                tables.swaps[range].iter().try_for_each(|job| self.swap(job))
            }
            LaunchKind::Weights => Ok(()),
        }
    }

    fn combine(&self, job: &CombineRecord) -> Result<()> {
        let (units, words) = (units(job.channels as usize), job.words_per_image as usize);
        self.within(Buffer::Codes, job.codes as usize + self.images * words)?;
        self.code(job, job.code, 0..units)?;
        self.partials(job.partials, self.images * self.pixels, self.block, units)?;
        if job.output != NONE {
            self.planes(job.output, self.pixels, units)?;
        }
        let (terms, _) = halves(job.terms);
        for term in &self.group.tables.terms[job.first_term as usize..][..terms] {
            let end = (term.to + term.channels) as usize;
            self.planes(term.source, area(term.size), planar::units(term.channels as usize))?;
            if term.norm != NONE {
                self.within(Buffer::Norms, term.norm as usize + planar::units(term.channels as usize))?;
            }
            self.code(job, term.code, term.to as usize / UNIT..planar::units(end))?;
            self.inside("channels", end, job.channels as usize)?;
        }
        Ok(())
    }

    /// Code words of some units of a job's output.
    fn code(&self, job: &CombineRecord, code: u32, units: Range<usize>) -> Result<()> {
        if code == NONE {
            return Ok(());
        }
        let unit = |unit: usize| code.wrapping_add((unit * UNIT * self.pixels.div_ceil(32)) as u32) as usize;
        self.inside("code words", unit(units.start).max(unit(units.end)), job.words_per_image as usize)
    }

    fn conv(&self, job: &ConvRecord) -> Result<()> {
        let (in_units, out_units) = halves(job.units);
        self.planes(job.output, self.pixels, out_units)?;
        self.planes(job.input, area(job.size), in_units)?;
        self.partials(job.partials, self.images * self.pixels, job.tile as usize, out_units)?;
        let rows = job.rows as usize..job.rows as usize + out_units.div_ceil(UNITS);
        self.inside(Table::Rows, rows.end, self.group.tables.rows.len())?;
        let (height, width) = halves(job.kernel);
        let shape = RowShape { out_channels: OCTET, in_channels: in_units * UNIT, kernel: [height, width] };
        let format = self.group.rows;
        let mut places = self.group.tables.rows[rows].iter();
        places.try_for_each(|&place| {
            self.inside(Shared::WeightPool, format.octet(place) + format.octets(&shape), self.pool)
        })
    }

    fn norm(&self, job: &NormRecord) -> Result<()> {
        let last = last(job.partials, self.blocks, job.pitch as usize);
        self.within(Buffer::Partials, last + planar::units(job.channels as usize))?;
        let octets = octets(job.channels as usize);
        self.within(Buffer::Norms, job.norm as usize + UNITS * octets)?;
        match job.affine {
            NONE => Ok(()),
            affine => self.inside(Shared::WeightPool, affine as usize + 2 * octets, self.pool),
        }
    }

    fn agreement(&self, job: &AgreementRecord) -> Result<()> {
        let last = last(job.codes, self.images, job.words_per_image as usize);
        self.within(Buffer::Codes, last + job.words as usize)?;
        self.network(job.network)
    }

    fn swap(&self, job: &SwapRecord) -> Result<()> {
        let last = last(job.codes, job.images as usize, job.words_per_image as usize);
        self.within(Buffer::Codes, last + job.words as usize)?;
        self.network(job.network)
    }

    /// What all networks have as much of is found by the network's position.
    fn network(&self, network: u32) -> Result<()> {
        self.inside("networks", network as usize + 1, self.group.members.len())
    }

    /// Partial statistics of so many units over so many pixels, in blocks.
    fn partials(&self, place: u32, pixels: usize, block: usize, units: usize) -> Result<()> {
        match place {
            NONE => Ok(()),
            place => self.within(Buffer::Partials, place as usize + pixels.div_ceil(block) * units),
        }
    }

    /// Planes of a tensor, from one unit on.
    fn planes(&self, place: u32, pixels: usize, units: usize) -> Result<()> {
        self.within(Buffer::Arena, place as usize + units * plane(self.images, pixels))
    }

    fn within(&self, buffer: Buffer, end: usize) -> Result<()> {
        self.inside(buffer, end, self.group.sizes[buffer])
    }

    fn inside(&self, what: impl Debug, end: usize, size: usize) -> Result<()> {
        if end <= size {
            return Ok(());
        }
        let reason = format!(
            "a place of {:?} ends at {end} of {size} of {what:?}: this is a fault of naswot, please report it",
            self.launch.kind
        );
        Err(Error::backend(BackendErrorKind::Failed, "gpu", reason))
    }
}

/// Place of the last of some pixels, images or blocks.
fn last(first: u32, count: usize, pitch: usize) -> usize {
    first as usize + (count - 1) * pitch
}

fn halves(pair: u32) -> (usize, usize) {
    ((pair & 0xffff) as usize, (pair >> 16) as usize)
}

fn area(size: u32) -> usize {
    let (height, width) = halves(size);
    height * width
}
