//! Memory on the device. Buffers grow to the largest group that they have seen.

use std::sync::Arc;

use super::driver::Driver;
use super::launches::Addresses;
use crate::backend::group::run::Fault;
use crate::backend::group::{Group, Limits, Mirror};

/// Bytes of a buffer at least.
const LEAST: u64 = 256;

/// A piece of memory, given back when it is dropped; what uses it must have ended by then.
#[derive(Debug)]
pub(super) struct Buffer {
    driver: Arc<dyn Driver>,
    pub(super) address: u64,
    bytes: u64,
}

impl Buffer {
    pub(super) fn new(driver: &Arc<dyn Driver>, bytes: u64) -> Result<Self, Fault> {
        let bytes = bytes.max(LEAST);
        Ok(Buffer { address: driver.allocate(bytes)?, bytes, driver: Arc::clone(driver) })
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Makes room for so many bytes; whether what was there is lost.
    fn reserve(&mut self, bytes: u64) -> Result<bool, Fault> {
        let grows = self.bytes < bytes;
        if grows {
            // The old one goes first: there may not be room for both.
            self.give_back();
            self.address = self.driver.allocate(bytes)?;
            self.bytes = bytes;
        }
        Ok(grows)
    }

    fn give_back(&mut self) {
        if self.address != 0 {
            self.driver.free(self.address);
        }
        (self.address, self.bytes) = (0, 0);
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// What one group in flight works on: its tables, and its buffers but for the weights.
#[derive(Debug)]
pub(super) struct Lane {
    driver: Arc<dyn Driver>,
    /// The stream that the group runs on.
    pub(super) stream: usize,
    terms: Buffer,
    combines: Buffer,
    convs: Buffer,
    rows: Buffer,
    norm_jobs: Buffer,
    agreements: Buffer,
    choleskys: Buffer,
    arena: Buffer,
    norms: Buffer,
    partials: Buffer,
    codes: Buffer,
    kernels: Buffer,
    pivots: Buffer,
    statuses: Buffer,
    counters: Buffer,
    combine_counters: Buffer,
    /// Whether the arena holds the batch, and the counters are zeros.
    has_image: bool,
    has_counters: bool,
}

impl Drop for Lane {
    fn drop(&mut self) {
        // Its buffers are freed next. On a device that is lost nothing runs.
        let _ = self.driver.wait(self.stream);
    }
}

impl Lane {
    pub(super) fn new(driver: &Arc<dyn Driver>, stream: usize) -> Result<Self, Fault> {
        let buffer = || Buffer::new(driver, LEAST);
        Ok(Lane {
            driver: Arc::clone(driver),
            stream,
            terms: buffer()?,
            combines: buffer()?,
            convs: buffer()?,
            rows: buffer()?,
            norm_jobs: buffer()?,
            agreements: buffer()?,
            choleskys: buffer()?,
            arena: buffer()?,
            norms: buffer()?,
            partials: buffer()?,
            codes: buffer()?,
            kernels: buffer()?,
            pivots: buffer()?,
            statuses: buffer()?,
            counters: buffer()?,
            combine_counters: buffer()?,
            has_image: false,
            has_counters: false,
        })
    }

    /// Whether it is memory of a device.
    pub(super) fn is_of(&self, driver: &Arc<dyn Driver>) -> bool {
        Arc::ptr_eq(&self.driver, driver)
    }

    /// Addresses of all that it holds.
    pub(super) fn addresses(&self) -> Addresses {
        Addresses {
            terms: self.terms.address,
            combines: self.combines.address,
            convs: self.convs.address,
            rows: self.rows.address,
            norm_jobs: self.norm_jobs.address,
            agreements: self.agreements.address,
            choleskys: self.choleskys.address,
            arena: self.arena.address,
            norms: self.norms.address,
            partials: self.partials.address,
            codes: self.codes.address,
            kernels: self.kernels.address,
            pivots: self.pivots.address,
            statuses: self.statuses.address,
            counters: self.counters.address,
            combine_counters: self.combine_counters.address,
            ..Addresses::default()
        }
    }

    /// Makes room for a group and writes its tables and, where it is not there yet, the batch.
    pub(super) fn upload(&mut self, group: &Group, limits: &Limits, image: &[f32]) -> Result<(), Fault> {
        let [arena, norms, partials, codes, kernels, pivots, statuses] = group.sizes.bytes(limits);
        let tables = &group.tables;
        self.has_image &= !self.arena.reserve(arena)?;
        for (buffer, jobs) in
            [(&mut self.counters, tables.convs.len()), (&mut self.combine_counters, tables.combines.len())]
        {
            if buffer.reserve((jobs * size_of::<u32>()) as u64)? || !self.has_counters {
                self.driver.write(self.stream, buffer.address, &vec![0; buffer.bytes() as usize])?;
            }
        }
        self.has_counters = true;
        for (buffer, bytes) in [
            (&mut self.norms, norms),
            (&mut self.partials, partials),
            (&mut self.codes, codes),
            (&mut self.kernels, kernels),
            (&mut self.pivots, pivots),
            (&mut self.statuses, statuses),
        ] {
            buffer.reserve(bytes)?;
        }
        if !self.has_image {
            self.driver.write(self.stream, self.arena.address, bytemuck::cast_slice(image))?;
            self.has_image = true;
        }
        for (buffer, table) in [
            (&mut self.terms, bytemuck::cast_slice::<_, u8>(&tables.terms)),
            (&mut self.combines, bytemuck::cast_slice(&tables.combines)),
            (&mut self.convs, bytemuck::cast_slice(&tables.convs)),
            (&mut self.rows, bytemuck::cast_slice(&tables.rows)),
            (&mut self.norm_jobs, bytemuck::cast_slice(&tables.norms)),
            (&mut self.agreements, bytemuck::cast_slice(&tables.agreements)),
            (&mut self.choleskys, bytemuck::cast_slice(&tables.choleskys)),
        ] {
            if !table.is_empty() {
                buffer.reserve(table.len() as u64)?;
                self.driver.write(self.stream, buffer.address, table)?;
            }
        }
        Ok(())
    }

    pub(super) fn statuses(&self, count: usize) -> Result<Vec<u32>, Fault> {
        self.read(&self.statuses, count)
    }

    pub(super) fn pivots(&self, count: usize) -> Result<Vec<f64>, Fault> {
        self.read(&self.pivots, count)
    }

    pub(super) fn kernels(&self, count: usize) -> Result<Vec<u32>, Fault> {
        self.read(&self.kernels, count)
    }

    pub(super) fn codes(&self, count: usize) -> Result<Vec<u32>, Fault> {
        self.read(&self.codes, count)
    }

    /// Copies all buffers of a group to the host, but for the weights.
    pub(super) fn mirror(&self, group: &Group) -> Result<Mirror, Fault> {
        let mut mirror = Mirror::new(group, 0, 0.0);
        mirror.arena = self.read(&self.arena, mirror.arena.len())?;
        mirror.norms = self.read(&self.norms, mirror.norms.len())?;
        mirror.partials = self.read(&self.partials, mirror.partials.len())?;
        mirror.codes = self.codes(mirror.codes.len())?;
        mirror.kernels = self.kernels(mirror.kernels.len())?;
        mirror.pivots = self.pivots(mirror.pivots.len())?.into_iter().map(|pivot| pivot as f32).collect();
        mirror.statuses = self.statuses(mirror.statuses.len())?;
        Ok(mirror)
    }

    /// Copies all buffers of a group back to the device, but for the weights.
    pub(super) fn restore(&self, mirror: &Mirror) -> Result<(), Fault> {
        let pivots: Vec<f64> = mirror.pivots.iter().map(|&pivot| f64::from(pivot)).collect();
        for (buffer, content) in [
            (&self.arena, bytemuck::cast_slice::<_, u8>(&mirror.arena)),
            (&self.norms, bytemuck::cast_slice(&mirror.norms)),
            (&self.partials, bytemuck::cast_slice(&mirror.partials)),
            (&self.codes, bytemuck::cast_slice(&mirror.codes)),
            (&self.kernels, bytemuck::cast_slice(&mirror.kernels)),
            (&self.pivots, bytemuck::cast_slice(&pivots)),
            (&self.statuses, bytemuck::cast_slice(&mirror.statuses)),
        ] {
            self.driver.write(self.stream, buffer.address, content)?;
        }
        Ok(())
    }

    fn read<T: bytemuck::Pod>(&self, buffer: &Buffer, count: usize) -> Result<Vec<T>, Fault> {
        let mut numbers = vec![T::zeroed(); count];
        self.driver.read(self.stream, buffer.address, bytemuck::cast_slice_mut(&mut numbers))?;
        Ok(numbers)
    }
}
