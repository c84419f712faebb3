//! The lockstep check: every launch of a group is compared with its twin on the CPU.

use std::sync::Arc;

use super::buffers::GroupMemory;
use super::driver::Driver;
use super::session::CudaSession;
use crate::backend::Setup;
use crate::backend::group::lockstep::Deviation;
use crate::backend::group::lockstep::{Device, lay_out, lockstep as run};
use crate::backend::group::session::DeviceSession as _;
use crate::backend::group::{Fault, Group, Launch, Mirror, batch as units_of};
use crate::{Batch, Convention, Network, Result, Weights};

/// Runs networks launch by launch; see [`crate::testing::cuda::lockstep`].
pub(crate) fn lockstep(
    driver: Arc<dyn Driver>,
    networks: &[Network],
    batch: &Batch,
    weights: &Weights,
    convention: Convention,
) -> Result<Vec<Deviation>> {
    let setup = Setup::new(batch.clone(), weights.clone(), convention).with_every_stage();
    let image: Arc<[f32]> = units_of(batch).into();
    let name = driver.name().to_owned();
    let fatal = |fault: Fault| fault.fatal("cuda", &name);
    let mut session = CudaSession::new(driver, &setup, Arc::clone(&image)).map_err(fatal)?;
    let limits = *session.limits();
    let (group, new) = lay_out(networks, &setup, &limits, &mut session.cache)?;
    let (all, used) = (group.all_launches(&new), session.cache.used());
    let mut memory = session.group_memory();
    session.upload(&group, &new, false, &mut memory).map_err(fatal)?;
    let mut device = Checked { session, memory, group: &group, name: &name };
    run(&mut device, &group, &all, &new, used, &*setup.source, &image)
}

struct Checked<'a> {
    session: CudaSession,
    memory: GroupMemory,
    group: &'a Group,
    name: &'a str,
}

impl Device for Checked<'_> {
    fn restore(&mut self, mirror: &Mirror) -> Result<()> {
        self.session.restore(mirror, &self.memory).map_err(|fault| fault.fatal("cuda", self.name))
    }

    fn run(&mut self, launch: &Launch) -> Result<()> {
        self.session.launch(launch, &self.memory).map_err(|fault| fault.fatal("cuda", self.name))
    }

    fn mirror(&mut self) -> Result<Mirror> {
        self.session.mirror(self.group, &self.memory).map_err(|fault| fault.fatal("cuda", self.name))
    }
}
