//! Bounds checks: every extent that a kernel touches lies inside its buffer, since kernels check nothing.

use std::fmt::Debug;

use super::records::*;
use super::{Buffer, Group, Launch, LaunchKind, Shared, Table};
use crate::plan::jobs::octets;
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
    blocks: usize,
}

impl<'a> Extents<'a> {
    fn new(group: &'a Group, launch: &'a Launch, pool: usize) -> Self {
        let LaunchRecord { images, height, width, blocks, .. } = launch.record;
        let pixels = height as usize * width as usize;
        Extents { group, launch, pool, images: images as usize, pixels, blocks: blocks as usize }
    }

    fn check(&self) -> Result<()> {
        let (tables, range) = (&self.group.tables, self.launch.jobs());
        match self.launch.kind {
            LaunchKind::Combine | LaunchKind::StoredBatchNorm => {
                tables.combines[range].iter().try_for_each(|job| self.combine(job))
            }
            LaunchKind::ConvNarrow | LaunchKind::ConvWide => {
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
        let octets = octets(job.channels as usize);
        let words = job.words_per_image as usize;
        let region = (self.pixels * octets).div_ceil(4);
        let code = |code: u32| match code {
            NONE => Ok(()),
            code => self.inside("code words", code as usize + region, words),
        };
        self.within(Buffer::Codes, job.codes as usize + self.images * words)?;
        code(job.code)?;
        self.partials(job.partials, octets)?;
        if job.output != NONE {
            self.within(Buffer::Arena, job.output as usize + self.images * self.pixels * octets)?;
        }
        let terms = job.first_term as usize..(job.first_term + job.terms) as usize;
        for term in &self.group.tables.terms[terms] {
            self.term(term)?;
            code(term.code)?;
            self.inside("channels", (term.to + term.channels) as usize, job.channels as usize)?;
        }
        Ok(())
    }

    fn term(&self, term: &TermRecord) -> Result<()> {
        let octets = octets(term.channels as usize);
        let pixels = self.images * area(term.size);
        self.within(Buffer::Arena, last(term.source, pixels, term.pitch as usize) + octets)?;
        match term.norm {
            NONE => Ok(()),
            norm => self.within(Buffer::Norms, norm as usize + octets),
        }
    }

    fn conv(&self, job: &ConvRecord) -> Result<()> {
        let ((octets, pitch), in_octets) = (halves(job.out_octets), job.in_octets as usize);
        self.within(Buffer::Arena, last(job.output, self.images * self.pixels, pitch) + octets)?;
        self.within(Buffer::Arena, job.input as usize + self.images * area(job.size) * in_octets)?;
        self.partials(job.partials, octets)?;
        let rows = job.rows as usize..job.rows as usize + octets;
        self.inside(Table::Rows, rows.end, self.group.tables.rows.len())?;
        let row = 8 * area(job.kernel) * in_octets;
        let mut places = self.group.tables.rows[rows].iter();
        places.try_for_each(|&place| self.inside(Shared::WeightPool, place as usize + row, self.pool))
    }

    fn norm(&self, job: &NormRecord) -> Result<()> {
        let octets = octets(job.channels as usize);
        let last = last(job.partials, self.blocks, job.pitch as usize);
        self.within(Buffer::Partials, last + octets)?;
        self.within(Buffer::Norms, job.norm as usize + octets)?;
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

    fn partials(&self, place: u32, octets: usize) -> Result<()> {
        match place {
            NONE => Ok(()),
            place => self.within(Buffer::Partials, place as usize + self.blocks * octets),
        }
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
