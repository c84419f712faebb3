//! Memory on the device, of a session and of each group in flight. It grows to the largest group that it has seen.

use std::sync::Arc;

use super::driver::{Driver, STREAMS};
use super::launches::{Addresses, Counters};
use crate::backend::group::Fault;
use crate::backend::group::{
    Buffer, Group, Limits, Mirror, NewWeights, PerBuffer, PerShared, PerTable, Table, mirror,
};

/// The stream that makes weights, after those of groups.
pub(super) const WEIGHTS: usize = STREAMS - 1;
/// Bytes of an allocation at least.
const LEAST: u64 = 256;

/// A piece of memory, or none yet; given back when it is dropped. What uses it must have ended by then.
#[derive(Debug)]
pub(super) struct Allocation {
    driver: Arc<dyn Driver>,
    pub(super) address: u64,
    bytes: u64,
}

impl Allocation {
    pub(super) fn new(driver: &Arc<dyn Driver>, bytes: u64) -> Result<Self, Fault> {
        let mut allocation = Allocation::none(driver);
        allocation.reserve(bytes)?;
        Ok(allocation)
    }

    pub(super) fn none(driver: &Arc<dyn Driver>) -> Self {
        Allocation { driver: Arc::clone(driver), address: 0, bytes: 0 }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Makes room for so many bytes; whether what was there is lost.
    pub(super) fn reserve(&mut self, bytes: u64) -> Result<bool, Fault> {
        let grows = self.bytes < bytes.max(LEAST);
        if grows {
            // The old one goes first: there may not be room for both.
            self.give_back();
            self.address = self.driver.allocate(bytes.max(LEAST))?;
            self.bytes = bytes.max(LEAST);
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

impl Drop for Allocation {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// Memory of one group in flight: its tables and buffers, and the stream that works on them.
#[derive(Debug)]
pub(super) struct GroupMemory {
    driver: Arc<dyn Driver>,
    pub(super) stream: usize,
    tables: PerTable<Allocation>,
    buffers: PerBuffer<Allocation>,
    counters: Counters<Allocation>,
    /// Whether the host reads codes.
    keeps_codes: bool,
    /// Whether the arena holds the batch, and the counters are zeros.
    has_image: bool,
    has_counters: bool,
}

impl Drop for GroupMemory {
    fn drop(&mut self) {
        // Its memory is freed next. On a device that is lost nothing runs.
        let _ = [WEIGHTS, self.stream].map(|stream| self.driver.wait(stream));
    }
}

impl GroupMemory {
    pub(super) fn new(driver: &Arc<dyn Driver>, stream: usize, keeps_codes: bool) -> Self {
        let none = || Allocation::none(driver);
        GroupMemory {
            driver: Arc::clone(driver),
            stream,
            tables: PerTable::from_fn(|_| none()),
            buffers: PerBuffer::from_fn(|_| none()),
            counters: Counters { convs: none(), combines: none() },
            keeps_codes,
            has_image: false,
            has_counters: false,
        }
    }

    /// Whether it is memory of a device.
    pub(super) fn is_of(&self, driver: &Arc<dyn Driver>) -> bool {
        Arc::ptr_eq(&self.driver, driver)
    }

    /// Addresses of all that it holds, and of what its session shares.
    pub(super) fn addresses(&self, shared: PerShared<u64>) -> Addresses {
        Addresses::new(
            shared,
            PerTable::from_fn(|table| self.tables[table].address),
            PerBuffer::from_fn(|buffer| self.buffers[buffer].address),
            Counters { convs: self.counters.convs.address, combines: self.counters.combines.address },
        )
    }

    /// Makes room for a group and writes its tables and, where it is not there yet, the batch.
    pub(super) fn upload(
        &mut self,
        group: &Group,
        new: &NewWeights,
        limits: &Limits,
        image: &[f32],
    ) -> Result<(), Fault> {
        for (buffer, &bytes) in limits.bytes(&group.sizes).iter() {
            let is_lost = self.buffers[buffer].reserve(bytes)?;
            self.has_image &= buffer != Buffer::Arena || !is_lost;
            if is_lost && buffer == Buffer::Codes && self.keeps_codes {
                // The host reads them whole, with the words between sections, which no kernel writes.
                let Allocation { address, bytes, .. } = self.buffers[buffer];
                self.driver.write(self.stream, address, &vec![0; bytes as usize])?;
            }
        }
        if !self.has_image {
            let arena = self.buffers[Buffer::Arena].address;
            self.driver.write(self.stream, arena, bytemuck::cast_slice(image))?;
            self.has_image = true;
        }
        self.zero_counters(group)?;
        for table in Table::ALL {
            let content = group.tables.bytes(table, &new.jobs);
            if !content.is_empty() {
                self.tables[table].reserve(content.len() as u64)?;
                let stream = if table == Table::WeightsJobs { WEIGHTS } else { self.stream };
                self.driver.write(stream, self.tables[table].address, content)?;
            }
        }
        Ok(())
    }

    /// Makes counters for all jobs of a group, which start at zero and end there.
    fn zero_counters(&mut self, group: &Group) -> Result<(), Fault> {
        let Counters { convs, combines } = &mut self.counters;
        for (counters, jobs) in [(convs, group.tables.convs.len()), (combines, group.tables.combines.len())] {
            if counters.reserve((jobs * size_of::<u32>()) as u64)? || !self.has_counters {
                self.driver.write(self.stream, counters.address, &vec![0; counters.bytes() as usize])?;
            }
        }
        self.has_counters = true;
        Ok(())
    }

    /// The first bytes of a buffer, once the group has run.
    pub(super) fn read(&self, buffer: Buffer, bytes: u64) -> Result<Vec<u8>, Fault> {
        let mut content = vec![0; bytes as usize];
        self.driver.read(self.stream, self.buffers[buffer].address, &mut content)?;
        Ok(content)
    }

    /// Copies all buffers of a group to the host.
    pub(super) fn download(&self, group: &Group, limits: &Limits) -> Result<PerBuffer<Vec<u32>>, Fault> {
        let mut buffers = PerBuffer::default();
        for (buffer, &bytes) in limits.bytes(&group.sizes).iter() {
            buffers[buffer] = mirror::from_device(buffer, &self.read(buffer, bytes)?, limits);
        }
        Ok(buffers)
    }

    /// Copies all buffers of a group back to the device.
    pub(super) fn restore(&self, mirror: &Mirror, limits: &Limits) -> Result<(), Fault> {
        mirror.buffers.iter().try_for_each(|(buffer, content)| {
            let bytes = mirror::to_device(buffer, content, limits);
            self.driver.write(self.stream, self.buffers[buffer].address, &bytes)
        })
    }
}
